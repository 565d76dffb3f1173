"""Constants of the API."""

from __future__ import annotations

from typing import Final

from gearcore.protocol import DEFAULT_PORT, Priority

__all__ = [
    "DEFAULT_GEARMAN_PORT",
    "JOB_COMPLETE",
    "JOB_CREATED",
    "JOB_FAILED",
    "JOB_PENDING",
    "JOB_UNKNOWN",
    "PRIORITY_HIGH",
    "PRIORITY_LOW",
    "PRIORITY_NONE",
]

_DEBUG_MODE_ = False

DEFAULT_GEARMAN_PORT: Final = DEFAULT_PORT

PRIORITY_NONE: Final = None
PRIORITY_LOW: Final = "LOW"
PRIORITY_HIGH: Final = "HIGH"

PRIORITIES: Final = {
    PRIORITY_NONE: Priority.NORMAL,
    PRIORITY_LOW: Priority.LOW,
    PRIORITY_HIGH: Priority.HIGH,
}
"""gearcore's, by the API's."""

JOB_UNKNOWN: Final = "UNKNOWN"
"""Not submitted yet, or its connection was lost."""
JOB_PENDING: Final = "PENDING"
"""Sent, and not acknowledged yet."""
JOB_CREATED: Final = "CREATED"
"""Acknowledged: there is a handle."""
JOB_FAILED: Final = "FAILED"
JOB_COMPLETE: Final = "COMPLETE"
