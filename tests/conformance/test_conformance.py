"""Every case as a test; see the package's own words for what a case is."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from peers import missing_peer

from .case import Case, judge
from .cases import CASES
from .report import PAGE, render, section
from .servers import MISSING, Pool, can_listen, find_gearmand
from .wander import random_case


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """The servers that cases share; the test is skipped without gearmand, unless that must be there."""
    if find_gearmand() is None:
        missing_peer(MISSING)
    pool = Pool()
    yield pool
    pool.stop()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gearcore_answers_as_it_should(case: Case, pool: Pool) -> None:
    if not can_listen(case.options.listen):
        pytest.skip(f"this machine has no address {case.options.listen}")
    check(case, pool)


@pytest.mark.parametrize("seed", range(50))
def test_gearcore_answers_a_random_script_as_gearmand_does(seed: int, pool: Pool) -> None:
    check(random_case(seed), pool)


def check(case: Case, pool: Pool) -> None:
    verdict = judge(case, pool)
    if verdict.trouble:
        pytest.fail(verdict.trouble, pytrace=False)


def test_there_are_cases_of_every_kind() -> None:
    """A module that is not found any more would go unnoticed."""
    assert len(CASES) >= 500
    assert sum(case.departure is not None for case in CASES) >= 40


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is in the source tree only")
def test_every_departure_is_documented() -> None:
    assert section(PAGE.read_text(encoding="utf-8")) == render(), (
        f"{PAGE.name} is not what the cases say: run python -m tests.conformance --write"
    )
