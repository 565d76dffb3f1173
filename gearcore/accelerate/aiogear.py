"""aiogear: a mixin of asyncio protocols, which hands each packet to whoever waits for its type."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Final

from gearcore._accelerate import Remainder
from gearcore._accelerate_aiogear import Recipe, aiogear_hooks
from gearcore.accelerate.handle import Accelerated

__all__ = ["put_in"]

_MADE: Final = {
    "NOOP": ("Noop", "nothing"),
    "NO_JOB": ("NoJob", "nothing"),
    "JOB_CREATED": ("JobCreated", "whole"),
    "JOB_ASSIGN": ("JobAssign", "rest in last"),
    "JOB_ASSIGN_UNIQ": ("JobAssignUniq", "rest in last"),
    "JOB_ASSIGN_ALL": ("JobAssignAll", "rest in last"),
    "WORK_COMPLETE": ("WorkComplete", "exact"),
    "WORK_DATA": ("WorkData", "exact"),
    "WORK_EXCEPTION": ("WorkException", "exact"),
    "WORK_FAIL": ("WorkFail", "first"),
}
"""What aiogear makes of a packet: the namedtuple's name, and how the body becomes its fields."""


def put_in(package: ModuleType, handle: Accelerated) -> None:
    """Replace the mixin's reading of what comes and its making of what goes."""
    module = importlib.import_module(f"{package.__name__}.mixin")
    response = importlib.import_module(f"{package.__name__}.response")
    mixin = module.GearmanProtocolMixin
    # Each protocol has deserializers of its own; what tells that they are aiogear's is their code.
    deserializers = mixin(loop=handle)._deserializers
    recipes = {
        packet.name: Recipe(deserializers[packet].__code__, getattr(response, made), body)
        for packet in deserializers
        for made, body in [_MADE.get(packet.name, ("", ""))]
        if made
    }
    buffered = Remainder("_data", mixin._data)
    hooks = aiogear_hooks(handle.counter, buffered, module, recipes, dict(vars(mixin)))
    handle.before_the_end(buffered.settle)
    handle.replace(mixin, "_data", buffered)
    for name, hook in hooks.items():
        handle.replace(mixin, name, hook)
