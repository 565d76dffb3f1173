"""Having ``import gearman`` or ``import gear`` find gearcore's module of that name."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Final

__all__ = ["NAMES", "install"]

NAMES: Final = ("gearman", "gear")
"""The libraries whose place gearcore can take, by the names that they are imported by."""

_PACKAGE: Final = "gearcore.compat"


class _Alias(Loader):
    """Gives the module ``real`` for an import by another name: the same object, not a copy."""

    def __init__(self, real: str) -> None:
        self._real = real
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._real)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # It was executed under its own name; the import system has given it the spec of the other.
        module.__spec__ = self._spec

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's code, to be run as a program: see `runpy`."""
        spec = importlib.util.find_spec(self._real)
        assert spec is not None
        assert isinstance(spec.loader, InspectLoader)
        return spec.loader.get_code(self._real)


class _Finder(MetaPathFinder):
    """Finds a library's name, and those of its modules, in gearcore."""

    def __init__(self, name: str) -> None:
        self.name = name

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self.name and not fullname.startswith(f"{self.name}."):
            return None
        real = f"{_PACKAGE}.{fullname}"
        found = importlib.util.find_spec(real)
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        return ModuleSpec(fullname, _Alias(real), origin=found.origin, is_package=is_package)


def install(name: str) -> None:
    """Have ``import NAME`` and ``from NAME.module import ...`` find gearcore's module in this process.

    ``name`` is "gearman" or "gear". It goes before a library of that name that is installed, and does nothing
    the second time. Raises ValueError for another name, and RuntimeError when the library itself was imported
    before: what has a part of it would not fit the rest.
    """
    if name not in NAMES:
        raise ValueError(f"gearcore can take the place of {' and '.join(NAMES)}, not of {name!r}")
    if any(isinstance(finder, _Finder) and finder.name == name for finder in sys.meta_path):
        return
    there = sys.modules.get(name)
    if there is not None:
        origin = getattr(there, "__file__", None) or "somewhere"
        raise RuntimeError(f"{name} was imported from {origin} already: install gearcore's before that")
    sys.meta_path.insert(0, _Finder(name))
