"""Run a program that was written for another Gearman library, with gearcore in that library's place.

python -m gearcore.compat gearman script.py [ARGUMENT ...]
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Final

from gearcore.compat.install import NAMES, install

USAGE: Final = f"usage: python -m gearcore.compat {{{','.join(NAMES)}}} SCRIPT [ARGUMENT ...]"


def main() -> None:
    """Do what the command line asks for."""
    if len(sys.argv) < 3:
        sys.exit(USAGE)
    name, script = sys.argv[1:3]
    try:
        install(name)
    except ValueError as error:
        sys.exit(f"{error}\n{USAGE}")
    if not Path(script).exists():
        sys.exit(f"there is no file {script}")
    # As Python itself does: the script finds the modules beside it, and its own arguments.
    sys.argv[:] = sys.argv[2:]
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
