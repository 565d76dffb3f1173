"""Admin commands that a client gives, on a connection of their own: lines of text on the server's port."""

from __future__ import annotations

from gearcore._blocking import Connection, Deadline
from gearcore.errors import ServerError, TimedOut
from gearcore.session import commands

__all__ = ["cancel_job"]


def cancel_job(connection: Connection, handle: str, deadline: Deadline) -> bool:
    """Have the server drop a job; returns whether it could. Raises TimedOut and ConnectionLost."""
    session = commands.AdminSession(str(connection.address))
    command = commands.cancel(handle)
    connection.send(session.ask(command))
    while not session.answered:
        if deadline.expired:
            raise TimedOut(f"waited {deadline.seconds:g} s for {connection.address} to cancel job {handle}")
        connection.wait(deadline)
        connection.send()
        session.receive(connection.receive())
    try:
        return session.answer(command)
    except ServerError:  # it knows no such command
        return False
