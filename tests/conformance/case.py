"""Cases: their registration, their playing to both servers, and the verdict."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from textwrap import dedent

from gearcore.protocol import PacketType as P

from .script import Script
from .servers import GEARCORE, GEARCORE_1_1, GEARMAND, Options, Pool

PATIENCE = 10.0
"""Seconds that a server has to answer: more than any takes that answers at all."""

SHORT_PATIENCE = 0.4
"""The same for gearmand in a departure, where no answer is often the point."""

PEERS = ("worker", "client", "admin", "peer")
"""What the parameters of a case begin with that are connections. `s` is the script, `value` one of
several that it is a case for, and any other a name that no other case uses."""


@dataclass(frozen=True)
class Departure:
    """A difference that is meant."""

    title: str
    gearmand: str
    gearcore: str
    why: str


@dataclass(frozen=True)
class Case:
    """A script and what is to be had of the servers for it."""

    number: int
    name: str
    play: Callable[..., None]
    options: Options
    alone: bool
    value: object = None
    departure: Departure | None = None
    answers: Sequence[str] | None = None
    """What gearcore is to answer, where gearmand is no measure."""
    servers: Sequence[str] = (GEARMAND, GEARCORE_1_1)


CASES: list[Case] = []


def case(
    play: Callable[..., None] | None = None,
    *,
    each: Sequence[object] = (),
    alone: bool = False,
    **options: object,
) -> Callable:
    """Register a script to which gearcore is to answer as gearmand does.

    With `each` it is a case for each of these values, which its parameter `value` takes. `alone` gives it a
    server of its own; the rest are `Options`.
    """
    if play is not None:
        return case()(play)

    def register(play: Callable[..., None]) -> Callable[..., None]:
        for value in each:
            _register(
                name=f"{play.__name__}[{_label(value)}]", value=value, alone=alone, options=Options(**options)
            )(play)
        return play

    return register if each else _register(alone=alone, options=Options(**options))


def departure(
    title: str,
    *,
    gearmand: str,
    gearcore: str,
    why: str,
    answers: str,
    alone: bool = False,
    **options: object,
) -> Callable:
    """Register a script to which gearcore is to answer in its own way in either mode, and gearmand does not.

    `answers` are the lines of the transcript that gearcore's peers receive. One that ends with an asterisk
    stands for any that begins so: the text of an error that gearmand has not is gearcore's own affair.
    """
    return _register(
        departure=Departure(title, gearmand, gearcore, why),
        answers=_lines(answers),
        alone=alone,
        options=Options(**options),
        servers=(GEARMAND, GEARCORE_1_1, GEARCORE),
    )


def modern(*, answers: str, alone: bool = False, **options: object) -> Callable:
    """Register a script for gearcore alone, in its default mode, where it follows gearmand 2.0."""
    return _register(answers=_lines(answers), alone=alone, options=Options(**options), servers=(GEARCORE,))


def _label(value: object) -> str:
    if isinstance(value, P):
        return value.name
    return f"{len(value)} bytes" if isinstance(value, bytes) and len(value) > 24 else str(value)


def _lines(text: str) -> list[str]:
    return dedent(text).strip().splitlines()


def _register(**what: object) -> Callable:
    def register(play: Callable[..., None]) -> Callable[..., None]:
        new = Case(number=len(CASES) + 1, play=play, **{"name": play.__name__, **what})
        if any(new.name == known.name for known in CASES):
            raise ValueError(f"there are two cases named {new.name}")
        CASES.append(new)
        return play

    return register


def play(case: Case, name: str, pool: Pool) -> list[str]:
    """Play a case to one of the servers, and return the transcript."""
    with pool.server(name, case.options, own=case.alone) as server:
        script = Script(
            server,
            f"~{case.number:03}~",
            alone=case.alone,
            patience=SHORT_PATIENCE if name == GEARMAND and case.departure else PATIENCE,
        )
        try:
            case.play(**{parameter: _argument(case, script, parameter) for parameter in _parameters(case)})
        except ConnectionRefusedError:
            script.transcript.append(f"! {server.fate()}")
        finally:
            script.close()
        if name != GEARMAND and (said := server.complaints()):
            script.transcript.append(f"! {said}")
        return script.transcript


def _parameters(case: Case) -> list[str]:
    parameters = inspect.signature(case.play).parameters.values()
    return [parameter.name for parameter in parameters if parameter.default is parameter.empty]


def _argument(case: Case, script: Script, parameter: str) -> object:
    if parameter == "s":
        return script
    if parameter == "value":
        return case.value
    return script.connect(parameter) if parameter.startswith(PEERS) else script.name(parameter)


@dataclass(frozen=True)
class Verdict:
    """What became of a case; `trouble` is empty if it is as it should be."""

    case: Case
    transcripts: dict[str, list[str]]
    trouble: str


def judge(case: Case, pool: Pool) -> Verdict:
    """Play a case to its servers, at the same time, and compare."""
    with ThreadPoolExecutor(len(case.servers)) as threads:
        playing = {name: threads.submit(play, case, name, pool) for name in case.servers}
        transcripts = {name: future.result() for name, future in playing.items()}
    return Verdict(case, transcripts, find_trouble(case, transcripts))


def find_trouble(case: Case, transcripts: dict[str, list[str]]) -> str:
    """Say what is not as it should be, with the lines in question."""
    reference = transcripts.get(GEARMAND, [])
    for name, transcript in transcripts.items():
        if case.answers is None:
            if transcript != reference:
                return f"{name} does not answer as gearmand does:\n{compare(reference, transcript)}"
        elif name != GEARMAND and not is_as_said(case.answers, transcript):
            return (
                f"{name} does not answer as the case says:\n{compare(case.answers, answers_in(transcript))}"
            )
    if case.departure and is_as_said(case.answers, reference):
        return "gearmand answers like gearcore now: this is no departure any more"
    return ""


def is_as_said(said: Sequence[str], transcript: list[str]) -> bool:
    """Whether a server answered what a case says that gearcore is to answer."""
    found = answers_in(transcript)
    return len(found) == len(said) and all(
        line.startswith(begin[:-1]) if begin.endswith("*") else line == begin
        for begin, line in zip(said, found, strict=True)
    )


def answers_in(transcript: list[str]) -> list[str]:
    """The lines of a transcript that the server caused."""
    return [line for line in transcript if line.startswith("!") or line.split(" ", 2)[1] == "<"]


def compare(expected: Sequence[str], found: Sequence[str]) -> str:
    """Two transcripts as one text: lines that only one of them has begin with - or +."""
    return "\n".join(line for line in difflib.ndiff(list(expected), list(found)) if line[0] != "?")
