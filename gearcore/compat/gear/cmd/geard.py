"""``geard``, by gear's name for it: ``python -m gearcore.compat gear -m gear.cmd.geard``."""

from __future__ import annotations

from gearcore.compat.gear.geard import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
