"""The Python of docs/codec-for-library-authors.md and docs/accelerate.md, run as it stands."""

import re
import subprocess

import pytest
from fake_server import PATIENCE
from libraries import LIBRARIES, NotAvailable, python_with
from pages import blocks, programs
from peers import missing_peer

from gearcore import Server

GUIDE = "docs/codec-for-library-authors.md"
BLOCKS = programs(GUIDE)
ACCELERATE, FOR_A_WHILE, NO_DELAY = blocks("docs/accelerate.md", "python")


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_prints_what_its_comments_say(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(port=0) as server:
        exec(compile(block.replace("4730", str(server.port)), GUIDE, "exec"), {})
    expected = re.findall(r"print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert expected
    assert capsys.readouterr().out.splitlines() == expected


def test_the_ten_lines_are_ten() -> None:
    lines = [line for line in BLOCKS[0].splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) <= 10


def test_accelerate_as_its_page_says() -> None:
    (library,) = [library for library in LIBRARIES if library.name == "gear"]
    try:
        python = python_with(library)
    except NotAvailable as reason:
        missing_peer(str(reason))
    with Server(port=0) as server:
        connect = (
            "import socket\nclient = gear.Client()\n"
            f"client.addServer('127.0.0.1', {server.port})\nclient.waitForServer()\n"
        )
        program = ACCELERATE + FOR_A_WHILE + connect + NO_DELAY + "client.shutdown()\n"
        done = subprocess.run(
            [str(python), "-c", program], capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    assert (done.returncode, done.stdout) == (0, "0 0\n"), done.stderr
