"""Cython's plugin for coverage, which finds the lines of the shared .pxd files too.

Cython's own looks for a C file beside each source. A .pxd has none: its inline functions are compiled into
every module that cimports it, under a name that is relative to src/. Here a source is known by its name in
src/gearcore, from wherever a process runs, and its lines are those that any of the modules has compiled.

The line of a .pxd that defines a function is none of them: it runs when a module is imported that has it,
as a line of that module, so that it would always be missed. The lines within count as they are run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from coverage.plugin import FileTracer
from Cython.Coverage import CythonModuleReporter
from Cython.Coverage import Plugin as CythonPlugin

SOURCES = Path(__file__).resolve().parents[1] / "src" / "gearcore"


class Plugin(CythonPlugin):
    """Tells coverage of the lines of Cython's sources."""

    def file_tracer(self, filename: str) -> FileTracer | None:
        """What follows the lines of a file, if it is one of Cython's."""
        path = SOURCES / Path(filename).name
        return Tracer(path) if path.suffix in (".pyx", ".pxd") and path.exists() else None

    def file_reporter(self, filename: str) -> CythonModuleReporter | None:
        """What knows the lines of a file that are code."""
        path = Path(filename)
        lines = self.lines().get(path.name)
        if lines is None:
            return None
        return CythonModuleReporter(None, filename, path.name, lines, frozenset())

    def find_executable_files(self, src_dir: str) -> Iterator[str]:
        """The files of a directory, also those whose lines never ran."""
        if Path(src_dir) == SOURCES:
            yield from (str(SOURCES / name) for name in self.lines())

    def lines(self) -> dict[str, dict[int, str]]:
        """The lines of each source that some module has compiled, by the name of the file."""
        if self._parsed_c_files is None:
            self._parsed_c_files = {}
            for c_file in SOURCES.glob("*.c"):
                for name, code in self._parse_cfile_lines(str(c_file)).items():
                    if "gearcore" in Path(name).parts:  # and not of Cython's own
                        self._parsed_c_files.setdefault(Path(name).name, {}).update(
                            (line, text)
                            for line, text in code.items()
                            if not (name.endswith(".pxd") and text.startswith("cdef inline "))
                        )
        return self._parsed_c_files


class Tracer(FileTracer):
    """Follows the lines of one source."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = str(path)

    def source_filename(self) -> str:
        """Where it is."""
        return self._path


def coverage_init(registry, options) -> None:
    """What coverage calls."""
    plugin = Plugin()
    registry.add_configurer(plugin)
    registry.add_file_tracer(plugin)
