"""The examples of docs/testing.md: tests, which are run as they stand, and a program."""

import re

import pytest
from pages import ROOT, blocks

pytest_plugins = ["pytester"]

PAGE = "docs/testing.md"
TEXT = (ROOT / PAGE).read_text()
BLOCKS = blocks(PAGE, "python")
TESTS = [block for block in BLOCKS if re.search(r"^ *def test_", block, re.MULTILINE)]
PROGRAMS = [block for block in BLOCKS if block not in TESTS]


def test_the_tests_pass(pytester):
    assert TESTS
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers -p no:cacheprovider")
    pytester.makepyfile(**{f"test_block_{number}": block for number, block in enumerate(TESTS)})
    wanted = sum(len(re.findall(r"^ *def test_", block, re.MULTILINE)) for block in TESTS)
    pytester.runpytest_subprocess().assert_outcomes(passed=wanted)


@pytest.mark.parametrize("block", PROGRAMS)
def test_a_program_prints_what_its_comments_say(block, capsys):
    exec(compile(block, PAGE, "exec"), {})
    expected = re.findall(r"print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert expected
    assert capsys.readouterr().out.splitlines() == expected


def test_every_fixture_is_in_the_table():
    import pytest_gearcore

    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == set(pytest_gearcore.__all__)
