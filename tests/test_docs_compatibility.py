"""The page on compatibility names everything that it is to name."""

from pathlib import Path

import pytest

from gearcore.broker import Admin
from gearcore.protocol import PACKETS

PAGE = Path(__file__).parents[1] / "docs" / "compatibility.md"


def section(title: str) -> str:
    """What stands under a heading of the page."""
    return PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")[2].partition("\n## ")[0]


@pytest.mark.parametrize("spec", PACKETS, ids=lambda spec: spec.name)
def test_every_packet_is_judged(spec):
    assert spec.name in section("Packets").replace("|", ",").replace(",", " ").split()


def test_every_admin_command_is_judged():
    for command in Admin(on_shutdown=print, on_dead=print).commands:
        assert f"`{command.decode()}" in section("Admin commands")
