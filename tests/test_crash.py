"""Nothing acknowledged is lost when the server is killed. ``make crash`` is the long form."""

import asyncio

from crash import Trial


def test_a_server_that_is_killed_loses_nothing(tmp_path):
    trial = Trial(tmp_path / "queue", seed=1)
    asyncio.run(trial.run(kills=5))
    assert len(trial.acknowledged) > 100
    assert not trial.refused
