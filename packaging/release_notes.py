"""Print what CHANGELOG.md says of a version that is to be released, if everything agrees that it is.

python packaging/release_notes.py v0.1.0
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


class NotReady(Exception):
    """The version cannot be released as it is."""


def release_notes(tag: str, root: Path = ROOT) -> str:
    """The section of a version, without its heading; raises `NotReady`."""
    version = tag.removeprefix("v")
    (known,) = re.findall(
        r'^__version__ = "(.*)"$', (root / "gearcore" / "_version.py").read_text(), re.MULTILINE
    )
    if tag != f"v{known}":
        raise NotReady(f"the tag is {tag}, and gearcore/_version.py says {known}")
    changelog = (root / "CHANGELOG.md").read_text()
    found = re.search(
        rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)",
        changelog,
        re.MULTILINE | re.DOTALL,
    )
    if found is None:
        raise NotReady(f"CHANGELOG.md has no section '## [{version}] - YYYY-MM-DD'")
    notes = found[1].strip()
    if not notes:
        raise NotReady(f"the section of {version} in CHANGELOG.md is empty")
    return notes


if __name__ == "__main__":
    try:
        print(release_notes(sys.argv[1]))
    except NotReady as error:
        sys.exit(str(error))
