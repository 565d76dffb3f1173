"""The job server: sockets and an event loop around the broker."""

from gearcore.server.limits import Keepalive, Limits
from gearcore.server.server import Server

__all__ = ["Keepalive", "Limits", "Server"]
