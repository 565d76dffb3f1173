"""A blocking socket that speaks packets and lines: what the server's tests talk to it with."""

from __future__ import annotations

import socket

from gearcore._codec import Parser, pack_request
from gearcore.protocol import RESPONSE_MAGIC
from gearcore.protocol import PacketType as P
from gearcore.server import Server


class Caller:
    def __init__(self, server: Server, host: str = "127.0.0.1") -> None:
        self.socket = socket.create_connection((host, server.port), timeout=5)
        self._parser = Parser(expect=RESPONSE_MAGIC)
        self._packets = []

    def send(self, type: P, *args: bytes) -> None:
        self.socket.sendall(pack_request(type, *args))

    def receive(self) -> tuple:
        while not self._packets:
            data = self.socket.recv(65536)
            assert data, "the server closed the connection"
            self._packets += self._parser.feed(data)
        packet = self._packets.pop(0)
        return (P(packet.type), *packet.args)

    def ask(self, type: P, *args: bytes) -> tuple:
        self.send(type, *args)
        return self.receive()

    def line(self, text: bytes) -> bytes:
        self.socket.sendall(text)
        return self.socket.makefile("rb").readline()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()
