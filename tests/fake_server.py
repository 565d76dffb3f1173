"""One end of a connection that a test speaks for, and a server that follows a script."""

import contextlib
import socket
import threading
from collections.abc import Callable

from gearcore._codec import Packet, Parser, pack_request, pack_response
from gearcore.protocol import PacketType

PATIENCE = 10.0
"""Seconds after which a test fails rather than waits on."""


class Peer:
    """Packets over a socket, in the words of the test: ``Peer(sock, pack_response)`` speaks as a server."""

    def __init__(self, sock: socket.socket, pack: Callable[..., bytes]) -> None:
        self._socket = sock
        self._socket.settimeout(PATIENCE)
        # What was sent last must be on its way before a close, which may drop what is not.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pack = pack
        self._parser = Parser()
        self._packets: list[Packet] = []

    @classmethod
    def connect(cls, address: tuple[str, int]) -> "Peer":
        """A client or worker of a server."""
        return cls(socket.create_connection(address, PATIENCE), pack_request)

    def send(self, type: PacketType, *args: bytes) -> None:
        self._socket.sendall(self._pack(type, *args))

    def send_bytes(self, data: bytes) -> None:
        self._socket.sendall(data)

    def receive(self, *types: PacketType) -> tuple[bytes, ...]:
        """The arguments of the next packet, which must be of one of these types."""
        packet = self.receive_packet()
        assert packet.type in types, f"{packet} came instead of {types}"
        return packet.args

    def receive_packet(self) -> Packet:
        """The next packet."""
        while not self._packets:
            data = self._socket.recv(65536)
            assert data, "the connection was closed instead of sending a packet"
            self._packets += self._parser.feed(data)
        return self._packets.pop(0)

    def receive_line(self, line: bytes) -> None:
        """Take a line of text, which must be this one."""
        data = b""
        while not data.endswith(b"\n"):
            data += self._socket.recv(len(line) - len(data))
        assert data == line

    def accept_options(self) -> None:
        """Answer what a client asks first."""
        self.send(PacketType.OPTION_RES, *self.receive(PacketType.OPTION_REQ))

    def wait_until_closed(self) -> None:
        """Read to the end, and understand nothing."""
        with contextlib.suppress(ConnectionResetError):  # it was closed before all that it was sent was read
            while self._socket.recv(65536):
                pass

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class FakeServer:
    """A server that treats the first connection as the first script says, and so on, one after the other.

    A connection is closed when its script returns, and there are none after the last. What a script raises
    fails the test at the end.
    """

    def __init__(self, *scripts: Callable[[Peer], None], host: str = "127.0.0.1") -> None:
        self._scripts = scripts
        self._listener = socket.create_server((host, 0), family=_family(host))
        self._listener.settimeout(PATIENCE)
        self.address: tuple[str, int] = self._listener.getsockname()[:2]
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            for number, script in enumerate(self._scripts, 1):
                with Peer(self._listener.accept()[0], pack_response) as peer:
                    if number == len(self._scripts):
                        self._listener.close()
                    script(peer)
        except BaseException as error:
            self._error = error

    def __enter__(self) -> "FakeServer":
        self._thread.start()
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        self._thread.join()
        self._listener.close()
        if self._error is not None and kind is None:
            raise self._error

    def __str__(self) -> str:
        return "{}:{}".format(*self.address)


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def free_port() -> int:
    """A port on the loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
