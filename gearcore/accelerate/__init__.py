"""The compiled codec inside other Gearman libraries: ``gearcore.accelerate(NAME)``.

``NAME`` is what the library is imported by: ``gearman`` (gearman3 or pygearman, whichever is installed),
``python3_gearman``, ``py3gearman``, ``gear`` or ``aiogear``. What is well-formed then goes through the codec;
for all else the library's own code runs, so that its checks and its exceptions stay as they are. For gear::

    import gear, gearcore

    gearcore.accelerate("gear")                     # for good, before connections are made
    with gearcore.accelerate("gear") as handle:     # or for a while
        ...
        print(handle.parsed, handle.packed)
"""

from __future__ import annotations

from gearcore.accelerate.handle import Accelerated
from gearcore.accelerate.libraries import accelerate
from gearcore.errors import CannotAccelerate

__all__ = ["Accelerated", "CannotAccelerate", "accelerate"]
