"""Every example on a page is run by a test, and the links of pages outside of the site lead somewhere."""

import importlib
import re
from pathlib import Path

import pages
import pytest

EXEMPT = {
    ("README.md", "make run"): "it makes the whole environment, and runs the tests: CI does both",
    ("CONTRIBUTING.md", "make build"): "what a contributor types, which runs the tests",
    ("docs/tutorial.md", "python3 -m venv"): "it installs from PyPI; .ci/run installs from the sdist",
    ("docs/server.md", "python3 -m venv"): "as root, on a machine with systemd; the unit is tested",
    ("docs/server.md", "docker build"): "it wants a container engine; test_packaging.py tests the files",
    ("docs/server.md", "dpkg-divert --local"): "as root, on a machine with Debian's service",
    ("docs/server.md", "rm /usr/sbin/gearmand"): "as root, on a machine with Debian's service",
    ("docs/server.md", "sed -i"): "as root, on a machine with Debian's init script",
    ("docs/compatibility.md", "python -m tests.conformance"): "tests/conformance has a test of it",
    ("", "python -m gearcore.compat"): "a form, with a script of the reader's; test_compat*.py run it",
    (
        "",
        "python -m benchmarks",
    ): "measurements, which want a quiet machine; test_bench*.py run them in small",
    ("docs/performance.md", ""): "measurements, likewise",
    (
        "docs/durable-queues.md",
        "gearcore store import",
    ): "with databases of the reader's; test_import.py runs it",
}
"""The blocks that no test runs, by their page and how they begin, and why. What is empty stands for any."""

NO_EXAMPLE = "text"
"""The language of what is shown and not to be typed: a line of a log, or a file of no known language."""


def exemption(block: pages.Block) -> tuple[str, str] | None:
    """The entry of ``EXEMPT`` that a block falls under."""
    found = [key for key in EXEMPT if key[0] in ("", block.page) and block.text.startswith(key[1])]
    return found[0] if found else None


@pytest.fixture(scope="module")
def taken() -> set[tuple[str, str]]:
    """The languages of pages that the tests here take their examples from."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        takes_examples = re.search(r"^from (pages|console) import", path.read_text(), re.MULTILINE)
        if takes_examples:
            importlib.import_module(path.stem)
    return pages.taken


@pytest.mark.parametrize("page", pages.pages())
def test_every_example_is_run(page, taken):
    for block in pages.all_blocks(page):
        if exemption(block) is None and block.language != NO_EXAMPLE:
            assert (page, block.language) in taken, (
                f"{block}: no test runs it. Take the page's examples by pages.blocks or pages.programs in a"
                " test, or say in EXEMPT why that cannot be."
            )


@pytest.mark.parametrize(("page", "start"), EXEMPT)
def test_what_is_exempt_is_there_and_not_run(page, start, taken):
    found = [
        block
        for one in ([page] if page else pages.pages())
        for block in pages.all_blocks(one)
        if block.text.startswith(start)
    ]
    assert found
    assert all((block.page, block.language) not in taken for block in found)


@pytest.mark.parametrize("page", pages.pages())
def test_commands_that_are_not_run_exist(page):
    targets = set(re.findall(r"^([a-z-]+):", (pages.ROOT / "Makefile").read_text(), re.MULTILINE))
    for block in filter(exemption, pages.all_blocks(page)):
        assert set(re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE)) <= targets
        for module in re.findall(r"^python -m ((?:tests|benchmarks)[\w.]*)", block.text, re.MULTILINE):
            assert (pages.ROOT / module.replace(".", "/") / "__main__.py").is_file()


@pytest.mark.parametrize("page", [page for page in pages.pages() if not page.startswith("docs/")])
def test_links_lead_somewhere(page):
    """Sphinx sees to those of the site."""
    text = (pages.ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#([^)]+))?\)", text)
    for target, anchor in links:
        path = (pages.ROOT / page).parent / target
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            anchors = [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, f"{target}#{anchor}"
