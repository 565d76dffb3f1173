"""A certificate authority of a test's own."""

import ssl

import trustme

from gearcore.server.tls import TlsFiles


class Authority:
    """An authority with a server's certificate, in files."""

    def __init__(self, directory) -> None:
        self.ca = trustme.CA()
        self.ca_file = directory / "ca.pem"
        self.ca.cert_pem.write_to_path(self.ca_file)
        self.server = self.issue(directory, "server", "127.0.0.1")
        self.directory = directory

    def issue(self, directory, name, *identities, common_name=None):
        certificate = self.ca.issue_cert(*identities, common_name=common_name)
        path, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.private_key_pem.write_to_path(key)
        path.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        return path, key

    def files(self, ask_for_certificates: bool = True) -> TlsFiles:
        certificate, key = self.server
        return TlsFiles(certificate=certificate, key=key, ca=self.ca_file if ask_for_certificates else None)

    def client(self, *identities, common_name=None) -> ssl.SSLContext:
        """The context of a client, with a certificate if it has a name."""
        context = ssl.create_default_context(cafile=self.ca_file)
        if identities or common_name:
            context.load_cert_chain(
                *self.issue(self.directory, "client", *identities, common_name=common_name)
            )
        return context
