"""The servers that a command asks: the options that name them, and the clients that reach them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from gearcore.address import ServerAddress, parse_address
from gearcore.admin import AdminClient
from gearcore.client import Client
from gearcore.protocol import DEFAULT_PORT
from gearcore.tls import ClientTls

__all__ = ["SERVER_VARIABLE", "Target", "read_address", "server_options"]

SERVER_VARIABLE = "GEARCORE_SERVER"
"""The environment variable for ``--server``: addresses with spaces between them."""

TIMEOUT = 30.0
"""Seconds that a server has for an answer, unless the command line says otherwise."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Target:
    """One or more servers, and how to reach them. ``limit`` is the timeout that the command line
    gives, if any.
    """

    servers: tuple[ServerAddress, ...]
    tls: ClientTls | None
    limit: float | None

    @property
    def timeout(self) -> float:
        """Seconds that a server has for an answer."""
        return TIMEOUT if self.limit is None else self.limit

    def admin(self, server: ServerAddress) -> AdminClient:
        """An admin client of one of them."""
        return AdminClient(server, tls=self.tls, timeout=self.timeout)

    def client(self, servers: tuple[ServerAddress, ...] | None = None) -> Client:
        """A client of all of them, or of some."""
        return Client(servers or self.servers, tls=self.tls, timeout=self.timeout)


def read_address(context: click.Context, option: click.Parameter, text: str) -> ServerAddress:
    """Read an address as the client does."""
    try:
        return parse_address(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def read_addresses(
    context: click.Context, option: click.Parameter, texts: tuple[str, ...]
) -> tuple[ServerAddress, ...]:
    """Read several addresses, each of which counts once."""
    return tuple(dict.fromkeys(read_address(context, option, text) for text in texts))


OPTIONS = [
    click.option(
        "--server",
        metavar="HOST:PORT",
        callback=read_addresses,
        multiple=True,
        envvar=SERVER_VARIABLE,
        show_envvar=True,
        help=f"A job server, or unix:/PATH of its socket; give it again for another one. "
        f"Default: 127.0.0.1:{DEFAULT_PORT}.",
    ),
    click.option("-h", "--host", metavar="HOST", help="The host of the server, as gearman has it."),
    click.option(
        "-p",
        "--port",
        metavar="PORT",
        type=click.IntRange(1, 65535),
        help="The port of the server, as gearman has it.",
    ),
    click.option("-S", "--tls", is_flag=True, help="Connect by TLS."),
    click.option(
        "--tls-ca", metavar="FILE", help="Who may have issued the server's certificate. Implies --tls."
    ),
    click.option("--tls-certificate", metavar="FILE", help="The certificate to show. Implies --tls."),
    click.option("--tls-key", metavar="FILE", help="Its private key, if that is in a file of its own."),
    click.option(
        "--timeout",
        metavar="SECONDS",
        type=click.FloatRange(min=0, min_open=True),
        help=f"How long a server has for an answer. Default: {TIMEOUT:g}.",
    ),
]


def server_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that name its servers, which come to it as ``target``."""

    @functools.wraps(command)
    def with_target(
        server: tuple[ServerAddress, ...],
        host: str | None,
        port: int | None,
        tls: bool,
        tls_ca: str | None,
        tls_certificate: str | None,
        tls_key: str | None,
        timeout: float | None,
        **values: Any,
    ) -> None:
        target = Target(
            named_servers(server, host, port),
            named_tls(tls, tls_ca, tls_certificate, tls_key),
            timeout,
        )
        command(target=target, **values)

    for option in reversed(OPTIONS):  # as decorators are, from the last to the first
        with_target = option(with_target)
    return with_target


def named_servers(
    servers: tuple[ServerAddress, ...], host: str | None, port: int | None
) -> tuple[ServerAddress, ...]:
    """The servers of ``--server``, or the one of ``--host`` and ``--port``."""
    if host is None and port is None:
        return servers or (parse_address("127.0.0.1"),)
    context = click.get_current_context()
    if context.get_parameter_source("server") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--host and --port stand for a server of their own: not beside --server")
    try:
        return (parse_address((host or "127.0.0.1", port or DEFAULT_PORT)),)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def named_tls(tls: bool, ca: str | None, certificate: str | None, key: str | None) -> ClientTls | None:
    """What the options say about TLS."""
    if not (tls or ca or certificate or key):
        return None
    return ClientTls(ca=ca, certificate=certificate, key=key)
