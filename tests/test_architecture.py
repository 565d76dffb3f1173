"""The layers of the package are those of docs/architecture.md: what imports what."""

import ast
import re
from pathlib import Path

import pytest

import gearcore

PACKAGE = Path(gearcore.__file__).parent
PICTURE = Path(__file__).parent.parent / "docs" / "architecture.svg"

LAYERS = [
    {"protocol", "errors", "schedule", "_version"},
    {"codec"},
    # Encodings are of a session's arguments, and the other way round.
    {"session", "encoding", "broker"},
    {"address", "tls", "accelerate"},
    {"_waiting", "_connecting", "_blocking", "store"},
    {"client", "admin", "server"},
    {"worker"},
    {"aio"},
    {"gearcore"},  # the names that a program imports from the package itself
    {"testing"},
    {"cli", "compat"},
]
"""From the bottom to the top. What is in one set may import each other."""

HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}

SERVERS = {"server", "broker", "store"}
CLIENTS = {"client", "worker", "aio", "session", "admin"}


def part(module: str) -> str:
    """The part of the package that a module belongs to: ``client`` for ``gearcore.client.job``."""
    name = module.split(".")[1] if "." in module else "gearcore"
    is_part = (PACKAGE / name).is_dir() or any(PACKAGE.glob(f"{name}.*"))
    return name if is_part else "gearcore"  # it is a name in gearcore/__init__.py


def imports() -> list[tuple[str, str, str]]:
    """Each import of one part by another, and where it is. Extension modules are looked at by nobody here."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        importer = part(".".join(name for name in parts if name != "__init__"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or (node.module or "").split(".")[0] != "gearcore":
                continue
            names = [f"gearcore.{alias.name}" for alias in node.names]
            for imported in map(part, names if node.module == "gearcore" else [node.module]):
                if imported != importer and not (PACKAGE / f"{imported}.pyi").exists():
                    found.append((importer, imported, f"{'/'.join(parts)}.py:{node.lineno}"))
    return found


def test_every_part_is_in_a_layer():
    assert {name for one in imports() for name in one[:2]} - set(HEIGHT) == set()


def test_no_import_points_up():
    assert [one for one in imports() if HEIGHT[one[0]] < HEIGHT[one[1]]] == []


def test_servers_and_clients_do_without_each_other():
    pairs = (SERVERS, CLIENTS), (CLIENTS, SERVERS)
    assert [
        one for one in imports() if any(one[0] in ours and one[1] in theirs for ours, theirs in pairs)
    ] == []


@pytest.mark.skipif(not PICTURE.exists(), reason="the documentation is in the source tree only")
def test_the_picture_shows_what_is_there():
    names = re.findall(r'class="name"[^>]*>([^<]+)<', PICTURE.read_text(encoding="utf-8"))
    shown = [name for line in names for name in line.split(", ")]
    assert len(shown) > 5
    for name in shown:
        assert (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()
