"""What python-gearman has for old Pythons: programs that took it from here find it."""

from __future__ import annotations

from builtins import all, any  # noqa: A004
from collections import defaultdict

__all__ = ["all", "any", "defaultdict"]
