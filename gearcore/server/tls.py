"""The files that a server's TLS is made of, and a context of the `ssl` module from them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from os import PathLike

from gearcore.tls import BadTlsFile, load_authorities, load_certificate

__all__ = ["BadTlsFile", "TlsFiles"]


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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A peer could have the server renew the keys of TLS 1.2 over and over, at little cost to itself.
        context.options |= ssl.OP_NO_RENEGOTIATION
        load_certificate(context, self.certificate, self.key)
        if self.ca is not None:
            load_authorities(context, self.ca)
            context.verify_mode = ssl.CERT_REQUIRED
        return context
