"""The Python of docs/codec-for-library-authors.md, run as it stands."""

import re
from pathlib import Path

import pytest

from gearcore import Server

DOCS = Path(__file__).parent.parent / "docs"
GUIDE = DOCS / "codec-for-library-authors.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_prints_what_its_comments_say(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(port=0) as server:
        exec(compile(block.replace("4730", str(server.port)), str(GUIDE), "exec"), {})
    expected = re.findall(r"print\(.*\)  # (.*)$", block, re.MULTILINE)
    assert expected
    assert capsys.readouterr().out.splitlines() == expected


def test_the_ten_lines_are_ten() -> None:
    lines = [line for line in BLOCKS[0].splitlines() if line and not line.startswith(("import", "from"))]
    assert len(lines) <= 10
