"""The cases, one module for each thing that a server does; a new module is found by itself."""

from __future__ import annotations

import importlib
import pkgutil

from ..case import CASES

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f".{_module.name}", __name__)

__all__ = ["CASES"]
