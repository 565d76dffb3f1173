"""The pages of the documentation, and the examples on them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md", "docs/**/*.md")

taken: set[tuple[str, str]] = set()
"""Which languages of which pages tests have asked for: see test_docs.py."""


@dataclass(frozen=True)
class Block:
    """A block of code. ``line`` is that of its first line, from 1 on."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.language or 'of no language'})"


def pages() -> list[str]:
    """Every page, as a path from the root on."""
    found = [path.relative_to(ROOT) for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    return [path.as_posix() for path in found if "_build" not in path.parts]


@cache
def all_blocks(page: str) -> tuple[Block, ...]:
    """The blocks of a page, fenced and indented, without what is for Sphinx only."""
    tokens = MarkdownIt().parse((ROOT / page).read_text(encoding="utf-8"))
    found = []
    for token in tokens:
        if token.type in ("fence", "code_block") and not token.info.startswith("{"):
            # A fence is a line of its own above the code.
            line = token.map[0] + (2 if token.type == "fence" else 1)
            found.append(Block(page, line, token.info.strip(), token.content))
    return tuple(found)


def blocks(page: str, language: str) -> list[str]:
    """The blocks of a page in one language. Whoever takes them sees to it that each of them is run."""
    taken.add((page, language))
    found = [block.text for block in all_blocks(page) if block.language == language]
    assert found, f"{page} has no block of {language}"
    return found


def programs(page: str, language: str = "python") -> list[str]:
    """As ``blocks``, with empty lines before each, so that a traceback names the right line."""
    blocks(page, language)
    return ["\n" * (block.line - 1) + block.text for block in all_blocks(page) if block.language == language]
