"""Other Gearman libraries from PyPI, each in an environment of its own in build/, which has gearcore too."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gearcore

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENTS = ROOT / "build" / "accelerate"
TAG = f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"


class NotAvailable(Exception):
    """A library that cannot be had here; the text says why."""


@dataclass(frozen=True)
class Library:
    """A library by its name on PyPI, and what it is imported by."""

    name: str
    version: str
    module: str

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version}"


LIBRARIES = (
    Library("pygearman", "0.2.6", "gearman"),
    Library("gearman3", "0.2.1", "gearman"),
    Library("python3-gearman", "0.1.0", "python3_gearman"),
    Library("py3gearman", "0.2.0", "py3gearman"),
    Library("gear", "0.16.0", "gear"),
    Library("aiogear", "0.2.3", "aiogear"),
    Library("aiogear", "0.2.6", "aiogear"),
)


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
        raise NotAvailable(f"{Path(command[0]).name} failed: {reasons[-1] if reasons else done.returncode}")
    return done.stdout


def python_with(library: Library, *more: str) -> Path:
    """The Python of an environment with a library and more requirements, which is made unless it is there."""
    words = "-".join([library.name, library.version, *more])
    directory = ENVIRONMENTS / f"{TAG}-{words}"
    python = directory / "bin" / "python"
    if (directory / "installed").exists():
        return python
    try:
        run(sys.executable, "-m", "venv", directory)
        # setuptools is what a library's setup.py, and gear's version, may want.
        run(python, "-m", "pip", "install", "--quiet", library.requirement, "setuptools<81", *more)
        tree, ours = Path(gearcore.__file__).parent.parent, sysconfig.get_path("purelib")
        packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
        # gearcore and what it needs are found behind what is installed here, and what measures coverage.
        Path(packages, "with_gearcore.pth").write_text(f"{tree}\nimport site; site.addsitedir({ours!r})\n")
    except NotAvailable as reason:
        raise NotAvailable(f"{library.requirement} cannot be installed: {reason}") from None
    (directory / "installed").touch()
    return python


def sources_of(library: Library) -> Path:
    """The unpacked source distribution of a library."""
    directory = ENVIRONMENTS / "sources" / f"{library.name}-{library.version}"
    if not directory.exists():
        with tempfile.TemporaryDirectory() as temporary:
            run(
                sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
                "--dest", temporary, library.requirement,
            )  # fmt: skip
            (archive,) = Path(temporary).iterdir()
            unpacked = Path(temporary, "unpacked")
            run(sys.executable, "-m", "tarfile", "--extract", archive, unpacked)
            (content,) = unpacked.iterdir()
            directory.parent.mkdir(parents=True, exist_ok=True)
            content.rename(directory)
    return directory
