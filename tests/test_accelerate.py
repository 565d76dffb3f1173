"""gearcore.accelerate: which libraries it knows, and that each does with the codec what it does without."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from conftest import JobServer
from libraries import LIBRARIES, Library, NotAvailable, python_with
from peers import missing_peer

import gearcore
from gearcore.accelerate.libraries import KNOWN
from gearcore.errors import CannotAccelerate

DRIVERS = Path(__file__).parent / "differential"
every_library = pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.requirement)


def start_driver(library: Library, driver: str, *args: str) -> subprocess.CompletedProcess[str]:
    """Run a script with the Python that has a library."""
    try:
        python = python_with(library)
    except NotAvailable as reason:
        missing_peer(str(reason))
    return subprocess.run(
        [str(python), str(DRIVERS / driver), library.module, *args],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def run_driver(library: Library, driver: str, *args: str) -> str:
    """What such a script prints."""
    done = start_driver(library, driver, *args)
    assert done.returncode == 0, done.stderr
    return done.stdout


@every_library
def test_the_same_values_and_the_same_exceptions(library: Library) -> None:
    drivers = {"gear": "gear_packets.py", "aiogear": "aiogear_protocols.py"}
    printed = run_driver(library, drivers.get(library.module, "family_of_gearman.py"))
    assert printed.splitlines()[-1].endswith(" packed")


@pytest.mark.parametrize(
    "library", [one for one in LIBRARIES if one.name != "gearman3"], ids=lambda library: library.requirement
)
def test_a_worker_and_a_client_at_work(library: Library, server: JobServer) -> None:
    jobs = 5
    results = json.loads(run_driver(library, "end_to_end.py", str(server.address[1]), str(jobs), "30"))
    assert results["right"]
    # A client makes a packet of each job and gets two for it; a worker gets one and makes one.
    assert results["parsed"] >= 3 * jobs
    assert results["packed"] >= 2 * jobs


def test_gearman3_is_not_at_work_on_any_python_of_ours(server: JobServer) -> None:
    """Python 3.9 took away the method of arrays by which it receives, be it with the codec or without."""
    [library] = [one for one in LIBRARIES if one.name == "gearman3"]
    done = start_driver(library, "end_to_end.py", str(server.address[1]), "1", "5")
    assert "'array.array' object has no attribute 'fromstring'" in done.stderr


@every_library
def test_it_can_be_had_again_and_undone(library: Library) -> None:
    assert run_driver(library, "handles.py").splitlines() == [
        f"<Accelerated {library.name} {library.version}: 0 parsed, 0 packed>",
        "the same",
        f"<Accelerated {library.name} {library.version}: undone>",
        "as it was",
        "again",
    ]


def test_every_known_version_is_tested() -> None:
    known = {
        (one.library, version) for of_name in KNOWN.values() for one in of_name for version in one.versions
    }
    assert known == {(library.name, library.version) for library in LIBRARIES}


def test_a_library_that_is_not_known() -> None:
    with pytest.raises(CannotAccelerate) as raised:
        gearcore.accelerate("requests")
    assert str(raised.value) == (
        "there is no known Gearman library 'requests': "
        "known are gearman, python3_gearman, py3gearman, gear, aiogear"
    )


@pytest.mark.parametrize("name", KNOWN)
def test_a_library_that_is_not_installed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(CannotAccelerate, match=f"^{name} cannot be imported: "):
        gearcore.accelerate(name)


def test_a_module_of_that_name_that_is_something_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("gearman")
    module.__file__ = str(tmp_path / "gearman" / "__init__.py")
    monkeypatch.setitem(sys.modules, "gearman", module)
    with pytest.raises(CannotAccelerate, match=r"is not what pygearman or gearman3 installed$"):
        gearcore.accelerate("gearman")


def test_a_version_that_is_not_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "gear"
    package.mkdir()
    (package / "__init__.py").write_text("")
    info = tmp_path / "gear-0.99.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gear\nVersion: 0.99\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "gear", raising=False)
    with pytest.raises(CannotAccelerate) as raised:
        gearcore.accelerate("gear")
    monkeypatch.delitem(sys.modules, "gear", raising=False)
    assert str(raised.value) == "gear 0.99 is not known: known are the versions 0.16.0"
