"""The files that TLS is made of, and a context of the `ssl` module from them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from os import PathLike
from typing import NoReturn

from gearcore.errors import GearcoreError

__all__ = ["BadTlsFile", "TlsFiles"]


class BadTlsFile(GearcoreError, ValueError):
    """A certificate or key that cannot be used. The text is one line that names the file and the fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Where a server's certificates are: paths of PEM files.

    ``certificate`` is what the server shows, with the certificates between it and its authority behind it,
    and ``key`` the private key that belongs to it, not encrypted; without ``key`` it is in the same file.
    With ``ca``, the certificates of one or more authorities, every peer must show a certificate of theirs.
    """

    certificate: str | PathLike[str]
    key: str | PathLike[str] | None = None
    ca: str | PathLike[str] | None = None

    def server_context(self) -> ssl.SSLContext:
        """Read the files into a context for the server's end, of TLS 1.2 and above.

        Raises `BadTlsFile` when one is missing, unreadable, or not what it should be.
        """
        key = self.certificate if self.key is None else self.key
        must_be_readable(self.certificate, "certificate")
        must_be_readable(key, "key")
        must_hold_certificates(self.certificate, "certificate")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A peer could have the server renew the keys of TLS 1.2 over and over, at little cost to itself.
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            # Asked for a password, OpenSSL would turn to the terminal.
            context.load_cert_chain(self.certificate, key, password=lambda: refuse_password(key))
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                text = f"TLS key {key}: it does not belong to the certificate {self.certificate}"
            else:
                text = f"TLS key {key}: it holds no private key{in_words(error)}"
            raise BadTlsFile(text) from error
        if self.ca is not None:
            must_be_readable(self.ca, "CA")
            must_hold_certificates(self.ca, "CA")
            context.load_verify_locations(self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def must_be_readable(path: str | PathLike[str], what: str) -> None:
    """Open a file: `ssl` does not say which one was missing."""
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise BadTlsFile(f"TLS {what} {path}: {error.strerror}") from error


def must_hold_certificates(path: str | PathLike[str], what: str) -> None:
    """Read a file as certificates: `ssl` does not tell a bad certificate from a bad key."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError as error:
        raise BadTlsFile(f"TLS {what} {path}: it holds no certificate{in_words(error)}") from error


def refuse_password(key: str | PathLike[str]) -> NoReturn:
    """Refuse to ask for the password of an encrypted key."""
    raise BadTlsFile(f"TLS key {key}: it is encrypted, and a server has nobody to ask for the password")


def in_words(error: ssl.SSLError) -> str:
    """OpenSSL's reason, where it gave one."""
    return f" ({error.reason.lower().replace('_', ' ')})" if error.reason else ""
