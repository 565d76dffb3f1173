"""A broker that runs out of memory: whoever asked for too much is cut off, and nobody else notices."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, whose malloc can be replaced")
@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_any_allocation_may_fail(tmp_path):
    library = tmp_path / "starve.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "starve.c"], check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path]),
    }
    played = subprocess.run(
        [sys.executable, HERE / "starving.py"],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert played.returncode == 0, played.stderr
    counts = [int(line) for line in played.stdout.split()]
    assert len(counts) == 4
    assert min(counts) > 200
