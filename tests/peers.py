"""Programs of others that tests need: gearmand, and tools of the system."""

import os
import shutil
from typing import NoReturn

import pytest

GEARMAND_MISSING = "gearmand is not installed: it is in Debian's package gearman-job-server"


def missing_peer(reason: str) -> NoReturn:
    """Skip a test whose peer is missing; where every peer must be there, as in CI, fail it."""
    if os.environ.get("GEARCORE_REQUIRE_PEERS"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def needs(command: str, package: str) -> None:
    """Say that the test cannot do without a command, and which of Debian's packages has it."""
    if shutil.which(command) is None:
        missing_peer(f"{command} is not installed: it is in Debian's package {package}")


def gearmand_path() -> str:
    """Where gearmand is: Debian puts it into a directory that the PATH of most users leaves out."""
    path = shutil.which("gearmand", path="/usr/sbin:/usr/local/sbin:/usr/bin")
    if path is None:
        missing_peer(GEARMAND_MISSING)
    return path
