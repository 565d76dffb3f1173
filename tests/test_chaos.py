"""A few seconds of chaos; ``make chaos`` has a minute of it for each kind of server."""

import pytest
from chaos.scene import play
from conftest import SERVERS


@pytest.mark.parametrize("kind", SERVERS)
def test_nobody_notices_who_is_killed(kind, tmp_path):
    outcome = play(kind, 6.0, tmp_path)
    assert outcome.errors == []
    assert outcome.unaccounted == 0
    assert (outcome.server_kills, outcome.worker_kills) == (3, 3)
    assert outcome.counts["resubmitted"] + outcome.counts["reported"] > 0  # otherwise nothing was shown
