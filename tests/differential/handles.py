"""What becomes of a library's names while it is accelerated, and after: ``handles.py IMPORT_NAME``."""

from __future__ import annotations

import importlib
import inspect
import sys

import gearcore


def names(module: object) -> dict[tuple[str, str], object]:
    """Everything in a library's modules and classes."""
    found = {}
    for part in ("", ".protocol", ".connection", ".mixin"):
        try:
            module = importlib.import_module(sys.argv[1] + part)
        except ImportError:
            continue
        owners = [module, *(value for value in vars(module).values() if inspect.isclass(value))]
        for owner in owners:
            if getattr(owner, "__module__", sys.argv[1]).startswith(sys.argv[1]):
                found.update({(repr(owner), name): value for name, value in vars(owner).items()})
    return found


def main() -> None:
    before = names(sys.argv[1])
    handle = gearcore.accelerate(sys.argv[1])
    print(handle)
    assert names(sys.argv[1]) != before
    if gearcore.accelerate(sys.argv[1]) is handle:
        print("the same")
    handle.undo()
    handle.undo()
    print(handle)
    after = names(sys.argv[1])
    if after.keys() == before.keys() and all(after[name] is before[name] for name in before):
        print("as it was")
    with gearcore.accelerate(sys.argv[1]) as again:
        if again is not handle and again.active:
            print("again")
    assert not again.active


if __name__ == "__main__":
    main()
