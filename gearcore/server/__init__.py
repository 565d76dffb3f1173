"""The job server: sockets and an event loop around the broker."""

from gearcore.server.access import AccessEntry, AccessList
from gearcore.server.limits import Keepalive, Limits
from gearcore.server.listeners import InheritedListener, TcpListener, UnixListener
from gearcore.server.server import Server
from gearcore.server.tls import TlsFiles

__all__ = [
    "AccessEntry",
    "AccessList",
    "InheritedListener",
    "Keepalive",
    "Limits",
    "Server",
    "TcpListener",
    "TlsFiles",
    "UnixListener",
]
