"""Drop-in modules: the public API of other Gearman libraries, on gearcore's own client, worker and server.

``gearcore.compat.gearman`` takes the place of python-gearman and its Python 3 forks, ``gearcore.compat.gear``
that of OpenStack's gear. Either can be imported as it is. To have a program find it that says ``import
gearman`` or ``import gear``, call `install` before, or run the program by ``python -m gearcore.compat gearman
script.py``.
"""

from __future__ import annotations

from gearcore.compat.install import NAMES, install

__all__ = ["NAMES", "install"]
