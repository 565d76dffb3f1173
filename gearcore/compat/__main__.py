"""Run a program that was written for another Gearman library, with gearcore in that library's place.

python -m gearcore.compat gearman script.py [ARGUMENT ...]
python -m gearcore.compat gear -m MODULE [ARGUMENT ...]
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path
from typing import Final

from gearcore.compat.install import NAMES, install

USAGE: Final = f"usage: python -m gearcore.compat {{{','.join(NAMES)}}} {{SCRIPT|-m MODULE}} [ARGUMENT ...]"


def main() -> None:
    """Do what the command line asks for."""
    if len(sys.argv) < 3:
        sys.exit(USAGE)
    name, script = sys.argv[1:3]
    try:
        install(name)
    except ValueError as error:
        sys.exit(f"{error}\n{USAGE}")
    if script == "-m":
        _run_module(sys.argv[3:])
        return
    if not Path(script).exists():
        sys.exit(f"there is no file {script}")
    # As Python itself does: the script finds the modules beside it, and its own arguments.
    sys.argv[:] = sys.argv[2:]
    if not sys.flags.safe_path:
        sys.path[0] = str(Path(script).resolve().parent)
    runpy.run_path(script, run_name="__main__")


def _run_module(words: list[str]) -> None:
    if not words:
        sys.exit(USAGE)
    # As Python itself does: modules in the current directory are found, where they are not kept from it.
    if not sys.flags.safe_path:
        sys.path[0] = str(Path.cwd())
    sys.argv[:] = words
    name = words[0]
    try:
        found = importlib.util.find_spec(name)
        if found is not None and found.submodule_search_locations is not None:
            name = f"{name}.__main__"
            found = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:  # a package that it would be in
        sys.exit(str(error))
    if found is None:
        sys.exit(f"No module named {name!r}")
    runpy.run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
