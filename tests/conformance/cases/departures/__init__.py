"""Where gearcore answers otherwise than gearmand, and why.

docs/compatibility.md lists them in the order of ``PARTS``.
"""

from __future__ import annotations

import importlib

PARTS = ("results", "clients", "waking", "time_limits", "admin", "input")

for _part in PARTS:
    importlib.import_module(f".{_part}", __name__)
