"""Admin commands that a client gives, on a connection of their own: lines of text on the server's port."""

from __future__ import annotations

from gearcore._blocking import Connection, Deadline
from gearcore.errors import TimedOut
from gearcore.session.admin import Line, ask_to_cancel

__all__ = ["cancel_job"]


def cancel_job(connection: Connection, handle: str, deadline: Deadline) -> bool:
    """Have the server drop a job; returns whether it could. Raises TimedOut and ConnectionLost."""
    connection.send(ask_to_cancel(handle))
    answer = Line(str(connection.address))
    while not answer.complete:
        if deadline.expired:
            raise TimedOut(f"waited {deadline.seconds:g} s for {connection.address} to cancel job {handle}")
        connection.wait(deadline)
        connection.send()
        answer.receive(connection.receive())
    return answer.ok
