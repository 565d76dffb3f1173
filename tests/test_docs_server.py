"""The examples of docs/tls-and-access.md and docs/http.md, run as they stand but on free ports."""

import re
import socket
import ssl
import subprocess
from pathlib import Path

from fake_server import free_port
from pages import blocks
from peers import needs

from gearcore import Client, Worker
from gearcore.server import AccessEntry, AccessList, Server

TLS = "docs/tls-and-access.md"
HTTP = "docs/http.md"
# All that there is, so that nothing can be added without a test.
(TLS_SERVER,) = blocks(TLS, "python")
(ACCESS,) = blocks(TLS, "toml")
*MAKING, ASKING = blocks(TLS, "sh")
(HTTP_SERVER,) = blocks(HTTP, "python")
REQUESTS = blocks(HTTP, "sh")


def with_ports(block: str, ports: dict[str, int]) -> str:
    return re.sub(r"\b(4730|4731|8080)\b", lambda found: str(ports[found[1]]), block)


def shell(block: str) -> str:
    done = subprocess.run(["bash", "-e", "-c", block], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def server_of(block: str, ports: dict[str, int]) -> Server:
    """The server that an example makes, before it runs."""
    assert block.endswith("server.run()\n")
    names: dict = {}
    exec(with_ports(block.removesuffix("server.run()\n"), ports), names)
    return names["server"]


def test_tls_and_access(tmp_path, monkeypatch):
    needs("openssl", "openssl")
    monkeypatch.chdir(tmp_path)
    ports = {"4730": free_port(), "4731": free_port()}
    shell("".join(MAKING))
    Path("access.toml").write_text(ACCESS)
    context = ssl.create_default_context(cafile="ca.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
    context.load_cert_chain("web-1.example.pem", "web-1.example.key")
    with server_of(TLS_SERVER, ports):
        assert shell(with_ports(ASKING, ports)).startswith("OK gearcore-")
        for name in ("127.0.0.1", "gearman.example"):
            sock = socket.create_connection(("127.0.0.1", ports["4731"]), timeout=5)
            with context.wrap_socket(sock, server_hostname=name) as tls:
                tls.sendall(b"version\n")
                assert tls.recv(100).startswith(b"ERR PERMISSION_DENIED ")
        with socket.create_connection(("127.0.0.1", ports["4730"]), timeout=5) as sock:
            sock.sendall(b"version\n")
            assert sock.recv(100).startswith(b"OK gearcore-")
        assert Path("gearman.sock").is_socket()


def test_the_access_list_says_what_the_page_says(tmp_path):
    path = tmp_path / "access.toml"
    path.write_text(ACCESS)
    assert AccessList.load(path).entries == (
        AccessEntry("web-*.example", submit=("image_*", "mail")),
        AccessEntry("worker-1.example", work=("image_*",), admin=("version",)),
        AccessEntry(user="root", submit=("*",), work=("*",), admin=("*",)),
        AccessEntry("anonymous", submit=("mail",), admin=("status", "workers", "version")),
    )


def test_http(running):
    needs("curl", "curl")
    ports = {"4730": free_port(), "8080": free_port()}
    with server_of(HTTP_SERVER, ports):
        address = f"127.0.0.1:{ports['4730']}"
        worker = Worker(address)
        worker.register("reverse", lambda job: job.workload[::-1])
        with running(worker), Client(address) as client:
            client.submit("reverse").result(timeout=10)
            for block in REQUESTS:
                (expected,) = re.findall(r"^# (.*)$", block, re.MULTILINE)
                assert expected in shell(with_ports(block, ports)).splitlines()
