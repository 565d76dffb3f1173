"""The admin command ``dead``: what became of jobs that are not run any more, and how they are run again.

Its answers come from the store, and so later than those of the other commands.
"""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from urllib.parse import quote_from_bytes

from gearcore._broker import Connection
from gearcore._keeper import Keeper, workload_of
from gearcore.errors import StoreError
from gearcore.store import DeadLetter, StoreWriter

__all__ = ["DeadLetters"]

PAGE = 200
"""Dead letters that the store is asked for at once."""

USAGE = b"ERR INVALID_ARGUMENTS dead+list+[FUNCTION]+|+show+HANDLE+|+retry+HANDLE+|+drop+HANDLE+|+"
USAGE += b"retry+all+[FUNCTION]+|+drop+all+[FUNCTION]\r\n"

SAFE = "!\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"
"""What is printed as it is, beside letters and digits: all of ASCII that is no space and no percent sign."""


class DeadLetters:
    """Answers the command of one server, one after the other."""

    def __init__(self, keeper: Keeper, writer: StoreWriter) -> None:
        self._keeper = keeper
        self._writer = writer
        self._tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()

    def __call__(self, connection: Connection, words: list[bytes]) -> None:
        """Begin to answer: ``dead list``, ``show``, ``retry`` or ``drop``, and of which."""
        task = asyncio.get_running_loop().create_task(self._answer(connection, words))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Answer no more."""
        for task in self._tasks:
            task.cancel()

    async def _answer(self, connection: Connection, words: list[bytes]) -> None:
        async with self._one_at_a_time:
            try:
                match [word.lower() for word in words[1:2]], words[2:]:
                    case [b"list"], [] | [_]:
                        await self._list(connection, *words[2:])
                    case [b"show"], [handle]:
                        await self._show(connection, handle)
                    case [b"retry" | b"drop" as what], [b"all", *function] if len(function) < 2:
                        await self._change_all(connection, what == b"retry", *function)
                    case [b"retry" | b"drop" as what], [handle]:
                        await self._change_one(connection, what == b"retry", handle)
                    case _:
                        self._say(connection, USAGE)
            except StoreError as error:
                text = quote_from_bytes(str(error).encode(), safe=SAFE).replace("%20", "+")
                self._say(connection, b"ERR QUEUE_ERROR " + text.encode() + b"\r\n")

    def _say(self, connection: Connection, text: bytes) -> None:
        self._keeper.answer(connection, text)
        self._writer.on_change()

    async def _pages(self, function: bytes | None) -> AsyncIterator[list[DeadLetter]]:
        after = 0
        while letters := await self._writer.dead(function, after, PAGE):
            yield letters
            after = letters[-1].number

    async def _find(self, handle: bytes) -> DeadLetter | None:
        number = self._keeper.number_of(handle)
        found = await self._writer.dead(None, number - 1, 1) if number else []
        return found[0] if found and found[0].number == number else None

    async def _list(self, connection: Connection, function: bytes | None = None) -> None:
        """Handle, function, tries, Unix time of death and error of each, with tabs between them."""
        async for letters in self._pages(function):
            self._say(connection, b"".join(map(line_of, letters)))
        self._say(connection, b".\n")

    async def _show(self, connection: Connection, handle: bytes) -> None:
        letter = await self._find(handle)
        if letter is None:
            self._say(connection, UNKNOWN)
            return
        workload = workload_of(letter.record)
        self._say(
            connection,
            b"%bunique\t%b\nworkload\t%b\n.\n"
            % (line_of(letter), printable(letter.unique), b64encode(workload)),
        )

    async def _change_one(self, connection: Connection, retry: bool, handle: bytes) -> None:
        letter = await self._find(handle)
        if letter is None:
            self._say(connection, UNKNOWN)
            return
        await self._change([letter], retry)
        self._say(connection, b"OK 1\r\n")

    async def _change_all(self, connection: Connection, retry: bool, function: bytes | None = None) -> None:
        count = 0
        async for letters in self._pages(function):
            await self._change(letters, retry)
            count += len(letters)
        self._say(connection, b"OK %d\r\n" % count)

    async def _change(self, letters: list[DeadLetter], retry: bool) -> None:
        """Have jobs run again, or forgotten for good; return when the store has it."""
        for letter in letters:
            if retry:
                self._keeper.revive(letter.record)
            else:
                self._keeper.drop_dead(letter.number)
        stored = self._writer.stored()
        self._writer.on_change()
        await stored


UNKNOWN = b"ERR UNKNOWN_JOB\r\n"


def line_of(letter: DeadLetter) -> bytes:
    """One line for a dead letter."""
    return b"%b\t%b\t%d\t%d\t%b\n" % (
        letter.handle,
        printable(letter.function),
        letter.tries,
        letter.died_at,
        printable(letter.error),
    )


def printable(text: bytes) -> bytes:
    """Write a text so that it fits into a field of a line, as in a URL."""
    return quote_from_bytes(text, safe=SAFE).encode()
