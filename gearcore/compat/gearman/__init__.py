"""python-gearman's API, as of its version 2.0.2 and what came after it, on gearcore's sessions.

A program that says ``import gearman`` runs on this after ``gearcore.compat.install("gearman")``, or as
``python -m gearcore.compat gearman script.py``. What comes from the wire is text; for bytes, as in gearman3
and pygearman, set ``gearman.GearmanConnectionManager.text = False`` for the whole program, or ``text`` in a
class of your own. ``docs/migrating-from-python-gearman.md`` says what is different.
"""

from __future__ import annotations

import logging
from logging import NullHandler

from gearcore.compat.gearman.admin_client import GearmanAdminClient
from gearcore.compat.gearman.client import GearmanClient
from gearcore.compat.gearman.connection_manager import DataEncoder, GearmanConnectionManager
from gearcore.compat.gearman.constants import (
    JOB_COMPLETE,
    JOB_CREATED,
    JOB_FAILED,
    JOB_PENDING,
    JOB_UNKNOWN,
    PRIORITY_HIGH,
    PRIORITY_LOW,
    PRIORITY_NONE,
)
from gearcore.compat.gearman.job import GearmanJob, GearmanJobRequest
from gearcore.compat.gearman.worker import GearmanWorker

__all__ = [
    "__version__",
    "DataEncoder",
    "GearmanAdminClient",
    "GearmanClient",
    "GearmanConnectionManager",
    "GearmanJob",
    "GearmanJobRequest",
    "GearmanWorker",
    "JOB_COMPLETE",
    "JOB_CREATED",
    "JOB_FAILED",
    "JOB_PENDING",
    "JOB_UNKNOWN",
    "NullHandler",
    "PRIORITY_HIGH",
    "PRIORITY_LOW",
    "PRIORITY_NONE",
    "gearman_root_logger",
]

__version__ = "2.0.2"
"""The version whose API this is."""

gearman_root_logger = logging.getLogger("gearman")
