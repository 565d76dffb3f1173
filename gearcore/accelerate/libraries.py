"""Which libraries and versions are known, and what is installed."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Final

from gearcore.accelerate import aiogear, gear, gearman
from gearcore.accelerate.handle import Accelerated
from gearcore.errors import CannotAccelerate

__all__ = ["KNOWN", "Known", "accelerate"]


@dataclass(frozen=True)
class Known:
    """A library: its name on PyPI, the versions that were read and tested, and what puts the codec in."""

    library: str
    versions: tuple[str, ...]
    put_in: Callable[[ModuleType, Accelerated], None]


KNOWN: Final[dict[str, tuple[Known, ...]]] = {
    "gearman": (
        Known("pygearman", ("0.2.6",), gearman.put_in_for_bytes),
        Known("gearman3", ("0.2.1",), gearman.put_in_for_bytes),
    ),
    "python3_gearman": (Known("python3-gearman", ("0.1.0",), gearman.put_in_for_text),),
    "py3gearman": (Known("py3gearman", ("0.2.0",), gearman.put_in_for_text),),
    "gear": (Known("gear", ("0.16.0",), gear.put_in),),
    "aiogear": (Known("aiogear", ("0.2.3", "0.2.6"), aiogear.put_in),),
}
"""The libraries by what they are imported by."""

_active: dict[str, Accelerated] = {}


def accelerate(name: str) -> Accelerated:
    """Put the compiled codec into an installed Gearman library, and return a handle on that.

    ``name`` is what the library is imported by, a key of ``KNOWN``. Do it before connections are made; where
    it has been done, the handle is the one that there is. ``undo()`` of the handle takes the codec out again.

    Raises ``CannotAccelerate`` for a library that is not known or not installed, and for a version of it that
    is not known: nothing is changed then.
    """
    handle = _active.get(name)
    if handle is not None and handle.active:
        return handle
    if name not in KNOWN:
        raise CannotAccelerate(f"there is no known Gearman library {name!r}: known are {', '.join(KNOWN)}")
    try:
        module = importlib.import_module(name)
    except ImportError as cause:
        raise CannotAccelerate(f"{name} cannot be imported: {cause}") from cause
    known, version = _find(name, module)
    if version not in known.versions:
        raise CannotAccelerate(
            f"{known.library} {version} is not known: known are the versions {', '.join(known.versions)}"
        )
    handle = Accelerated(known.library, version)
    try:
        known.put_in(module, handle)
    except BaseException:
        handle.undo()
        raise
    _active[name] = handle
    return handle


def _find(name: str, module: ModuleType) -> tuple[Known, str]:
    """Which of the libraries of a name a module belongs to, and the version."""
    place = Path(module.__file__ or "").resolve()
    installed = []
    for known in KNOWN[name]:
        try:
            distribution = metadata.distribution(known.library)
        except metadata.PackageNotFoundError:
            continue
        # Two libraries of one name overwrite each other's files: then only the module's own word counts.
        version = getattr(module, "__version__", distribution.version)
        if Path(str(distribution.locate_file(f"{name}/__init__.py"))).resolve() == place:
            installed.append((known, version, distribution.version))
    for known, version, announced in installed:
        if version == announced:
            return known, version
    for known, version, _ in installed:
        return known, version
    names = " or ".join(known.library for known in KNOWN[name])
    raise CannotAccelerate(f"{name} at {place} is not what {names} installed")
