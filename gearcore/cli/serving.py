"""From the values of options to a server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from gearcore.cli._common import DEFAULT_HOST
from gearcore.cli.options import OPTIONS
from gearcore.server import Keepalive, Limits, Server
from gearcore.server.access import AccessList
from gearcore.server.listeners import InheritedListener, Listener, TcpListener, UnixListener
from gearcore.server.tls import TlsFiles
from gearcore.store import SqliteStore, Store

__all__ = ["make_listeners", "make_server"]


def make_server(values: Mapping[str, Any], activated: Sequence[tuple[int, str]] = ()) -> Server:
    """Make the server that a command line asks for, with `make_listeners` of it.

    Raises `click.UsageError` for options that do not go together.
    """
    listeners = make_listeners(values, activated)
    access = None if values["access_list"] is None else AccessList.load(values["access_list"])
    try:
        return Server(
            host=(),
            listeners=listeners,
            access=access,
            limits=Limits(**given(values, "limits.")),
            keepalive=Keepalive(**given(values, "keepalive.")),
            store=make_store(values),
            **given(values, ""),
        )
    except ValueError as error:  # a handle prefix that is too long, for one
        raise click.UsageError(str(error)) from error


def make_store(values: Mapping[str, Any]) -> Store | None:
    """Return where the server keeps its background jobs, if not in memory alone."""
    path = values["store"]
    if values["queue_type"] == "libsqlite3":
        if path is not None:
            raise click.UsageError("--store and --queue-type do not go together")
        path = values["libsqlite3_db"]
        if path is None:
            raise click.UsageError("--queue-type libsqlite3 needs --libsqlite3-db")
    return None if path is None else SqliteStore(path)


def make_listeners(values: Mapping[str, Any], activated: Sequence[tuple[int, str]]) -> list[Listener]:
    """Return what a server listens on.

    ``activated`` are sockets that listen already, each with its name: they take the place of ``--listen`` and
    ``--port``. One called ``tls`` speaks TLS, one called ``http`` HTTP.
    """
    hosts = values["listen"] or [DEFAULT_HOST]
    tls = tls_files(values)
    main_tls = tls if values["ssl"] else None
    listeners: list[Listener] = []
    for fd, name in activated:
        if name == "tls" and tls is None:
            raise click.UsageError("the socket called tls needs a certificate")
        socket_tls = {"tls": tls, "http": None}.get(name, main_tls)
        listeners.append(InheritedListener(fd, socket_tls, http=name == "http"))
    if not activated:
        listeners += [TcpListener(host, values["port"], main_tls) for host in hosts]
    if values["tls_port"] is not None:
        listeners += [TcpListener(host, values["tls_port"], tls) for host in hosts]
    if values["protocol"] == "http":
        listeners += [TcpListener(host, values["http_port"], http=True) for host in hosts]
    return [*listeners, *(UnixListener(path) for path in values["unix_socket"] or [])]


def tls_files(values: Mapping[str, Any]) -> TlsFiles | None:
    """Return the files that the options for TLS name, if there is a certificate among them."""
    certificate = values["ssl_certificate"]
    if certificate is not None:
        return TlsFiles(certificate=certificate, key=values["ssl_key"], ca=values["ssl_ca_file"])
    if values["ssl"] or values["tls_port"] is not None:
        raise click.UsageError("TLS needs a certificate")
    return None


def given(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the arguments that options stand for, below one prefix, as far as they were given."""
    arguments = {}
    for option in OPTIONS:
        if option.argument.startswith(prefix) and values[option.key] is not None:
            name = option.argument.removeprefix(prefix)
            if name and "." not in name:
                arguments[name] = values[option.key]
    return arguments
