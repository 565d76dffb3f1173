"""What stands in packaging/ beside the systemd units: files that name options of gearcored."""

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
