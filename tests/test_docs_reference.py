"""docs/reference has every public name."""

import importlib
import re

import pytest
from pages import ROOT

MODULES = [
    "",
    ".accelerate",
    ".aio",
    ".codec",
    ".compat",
    ".encoding",
    ".errors",
    ".protocol",
    ".server",
    ".testing",
]
PUBLIC = [
    (module, name)
    for module in (importlib.import_module(f"gearcore{suffix}") for suffix in MODULES)
    for name in module.__all__
    # JobEvent is described where the three that it means are, NAMES by what takes one of them.
    if name not in ("__version__", "JobEvent", "NAMES")
]
DIRECTIVE = re.compile(r"^\.\. (currentmodule|auto\w+):: ([\w.]+).*\n((?:   .*\n)*)", re.MULTILINE)


def found(name: str) -> object:
    """The object of a full name."""
    module, _, name = name.rpartition(".")
    return getattr(importlib.import_module(module), name)


@pytest.fixture(scope="module")
def described() -> list[object]:
    """All that the reference describes."""
    objects = []
    for page in sorted((ROOT / "docs" / "reference").glob("*.md")):
        current = ""
        for kind, name, options in DIRECTIVE.findall(page.read_text(encoding="utf-8")):
            if kind == "currentmodule":
                current = name
            elif kind != "automodule":
                objects.append(found(name if "." in name else f"{current}.{name}"))
            elif ":members:" in options:
                module = importlib.import_module(name)
                left_out = re.findall(r":exclude-members: (\w+)", options)
                objects += [getattr(module, name) for name in module.__all__ if name not in left_out]
    return objects


@pytest.mark.parametrize(("module", "name"), PUBLIC, ids=lambda one: getattr(one, "__name__", one))
def test_every_public_name_is_described(module, name, described):
    assert any(one is getattr(module, name) for one in described)
