"""What stands in packaging/ beside the systemd units: files that name options of gearcored."""

import importlib.util
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from commands import PATIENCE, SCRIPTS

PACKAGING = Path(__file__).parents[1] / "packaging"


def container_command() -> list[str]:
    """What the image runs when it is told nothing else."""
    text = (PACKAGING / "docker" / "Dockerfile").read_text()
    return [word for name in ("ENTRYPOINT", "CMD") for word in json.loads(found(rf"^{name} (.*)$", text))]


def compose_command() -> list[str]:
    text = (PACKAGING / "docker" / "compose.yaml").read_text()
    return ["gearcored", *json.loads(found(r"^ +command: (.*)$", text))]


def service_command() -> list[str]:
    text = (PACKAGING / "default" / "gearcored").read_text()
    return ["gearcored", *shlex.split(found(r'^GEARCORED_OPTIONS="(.*)"$', text))]


def suggested_command() -> list[str]:
    text = (PACKAGING / "default" / "gearcored").read_text()
    return ["gearcored", *shlex.split(found(r'^# GEARCORED_OPTIONS="(.*)"$', text))]


def found(pattern: str, text: str) -> str:
    (only,) = re.findall(pattern, text, re.MULTILINE)
    return only


@pytest.mark.parametrize("command", [container_command, compose_command, service_command, suggested_command])
def test_gearcored_takes_the_options(command):
    program, *options = command()
    assert options
    result = subprocess.run(
        [f"{SCRIPTS}/{program}", "--check-args", *options], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_the_health_of_a_container_is_a_command_of_gearcore():
    text = (PACKAGING / "docker" / "Dockerfile").read_text()
    program, subcommand = json.loads(found(r"^HEALTHCHECK .* CMD (.*)$", text))
    result = subprocess.run([f"{SCRIPTS}/{program}", subcommand, "--help"], timeout=PATIENCE)
    assert result.returncode == 0


def test_an_image_is_built_of_what_a_build_needs():
    """What the Dockerfile may copy is what the sdist would compile, and each of it is there."""
    lines = (PACKAGING / "docker" / "Dockerfile.dockerignore").read_text().split()
    named = {line.removeprefix("!").removesuffix("/**") for line in lines if line.startswith("!")}
    assert all((PACKAGING.parent / name).exists() for name in named)
    assert {"gearcore", "src", "setup.py", "pyproject.toml", "pytest_gearcore.py"} < named


@pytest.fixture(scope="module")
def release_notes():
    spec = importlib.util.spec_from_file_location("release_notes", PACKAGING / "release_notes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path):
    """A project of which version 1.2.0 is ready."""
    (tmp_path / "gearcore").mkdir()
    (tmp_path / "gearcore" / "_version.py").write_text('__version__ = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [Unreleased]\n\n## [1.2.0] - 2026-12-01\n\n### Added\n\n- This.\n\n"
        "## [1.1.0] - 2026-11-01\n\n### Added\n\n- That.\n"
    )
    return tmp_path


class TestReleaseNotes:
    def test_are_the_section_of_the_version(self, release_notes, project):
        assert release_notes.release_notes("v1.2.0", project) == "### Added\n\n- This."

    def test_of_the_oldest_version_go_to_the_end(self, release_notes, project):
        (project / "gearcore" / "_version.py").write_text('__version__ = "1.1.0"\n')
        assert release_notes.release_notes("v1.1.0", project) == "### Added\n\n- That."

    @pytest.mark.parametrize("tag", ["v1.1.0", "1.2.0", "v1.2.0rc1"])
    def test_no_tag_but_the_version(self, release_notes, project, tag):
        with pytest.raises(release_notes.NotReady, match="the tag is"):
            release_notes.release_notes(tag, project)

    @pytest.mark.parametrize("heading", ["## [1.2.0]", "## [1.2.0] - soon", "## [1.20] - 2026-12-01"])
    def test_no_release_without_a_dated_section(self, release_notes, project, heading):
        changelog = project / "CHANGELOG.md"
        changelog.write_text(changelog.read_text().replace("## [1.2.0] - 2026-12-01", heading))
        with pytest.raises(release_notes.NotReady, match="has no section"):
            release_notes.release_notes("v1.2.0", project)

    def test_no_release_without_a_word(self, release_notes, project):
        changelog = project / "CHANGELOG.md"
        changelog.write_text(changelog.read_text().replace("### Added\n\n- This.\n", ""))
        with pytest.raises(release_notes.NotReady, match="is empty"):
            release_notes.release_notes("v1.2.0", project)
