"""The files that TLS is made of, and contexts of the `ssl` module from them, for the end that connects."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from os import PathLike
from typing import NoReturn

from gearcore.errors import GearcoreError

__all__ = ["BadTlsFile", "ClientTls", "client_context", "load_authorities", "load_certificate"]


class BadTlsFile(GearcoreError, ValueError):
    """A certificate or key that cannot be used. The text is one line that names the file and the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """What a client or worker checks and shows when it connects by TLS: paths of PEM files.

    ``ca`` holds the certificates of the authorities that may have issued the server's; without it those that
    the system trusts. ``certificate`` is what the client shows to a server that asks, with the certificates
    between it and its authority behind it, and ``key`` its private key, not encrypted; without ``key`` it is
    in the same file. The server's certificate must be for the host that the address names.
    """

    ca: str | PathLike[str] | None = None
    certificate: str | PathLike[str] | None = None
    key: str | PathLike[str] | None = None

    def client_context(self) -> ssl.SSLContext:
        """Read the files into a context for the connecting end, of TLS 1.2 and above.

        Raises `BadTlsFile` when one is missing, unreadable, or not what it should be.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.ca is None:
            context.load_default_certs()
        else:
            load_authorities(context, self.ca)
        if self.certificate is not None:
            load_certificate(context, self.certificate, self.key)
        elif self.key is not None:
            raise BadTlsFile(f"TLS key {self.key}: there is no certificate that it belongs to")
        return context


def client_context(tls: ClientTls | ssl.SSLContext | None) -> ssl.SSLContext | None:
    """The context that a client's or worker's ``tls`` means; None stands for plain connections."""
    return tls.client_context() if isinstance(tls, ClientTls) else tls


def load_certificate(
    context: ssl.SSLContext, certificate: str | PathLike[str], key: str | PathLike[str] | None
) -> None:
    """Have a context show this certificate. Raises `BadTlsFile`, which says which file is to blame."""
    key = certificate if key is None else key
    _must_be_readable(certificate, "certificate")
    _must_be_readable(key, "key")
    _must_hold_certificates(certificate, "certificate")
    try:
        # Asked for a password, OpenSSL would turn to the terminal.
        context.load_cert_chain(certificate, key, password=lambda: _refuse_password(key))
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"TLS key {key}: it does not belong to the certificate {certificate}"
        else:
            text = f"TLS key {key}: it holds no private key{_in_words(error)}"
        raise BadTlsFile(text) from error


def load_authorities(context: ssl.SSLContext, ca: str | PathLike[str]) -> None:
    """Have a context trust the authorities of this file. Raises `BadTlsFile`."""
    _must_be_readable(ca, "CA")
    _must_hold_certificates(ca, "CA")
    context.load_verify_locations(ca)


def _must_be_readable(path: str | PathLike[str], what: str) -> None:
    """Open a file: `ssl` does not say which one was missing."""
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise BadTlsFile(f"TLS {what} {path}: {error.strerror}") from error


def _must_hold_certificates(path: str | PathLike[str], what: str) -> None:
    """Read a file as certificates: `ssl` does not tell a bad certificate from a bad key."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError as error:
        raise BadTlsFile(f"TLS {what} {path}: it holds no certificate{_in_words(error)}") from error


def _refuse_password(key: str | PathLike[str]) -> NoReturn:
    raise BadTlsFile(f"TLS key {key}: it is encrypted, and there is nobody to ask for the password")


def _in_words(error: ssl.SSLError) -> str:
    """OpenSSL's reason, where it gave one."""
    return f" ({error.reason.lower().replace('_', ' ')})" if error.reason else ""
