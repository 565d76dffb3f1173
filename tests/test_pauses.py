"""How long a server is left alone."""

import pytest

from gearcore.session.pauses import Pauses


def test_pauses_grow_to_half_a_minute_and_begin_anew():
    pauses = Pauses(lambda: 1.0)
    assert [round(pauses.next(), 3) for _ in range(10)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30]
    for _ in range(2000):
        assert pauses.next() == 30
    pauses.reset()
    assert pauses.next() == 0.1


def test_chance_takes_away_up_to_a_half():
    assert Pauses(lambda: 0.0).next() == 0.05
    assert Pauses(lambda: 0.5).next() == pytest.approx(0.075)
