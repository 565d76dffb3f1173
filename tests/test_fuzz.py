"""A short run of each fuzz target, from fixed seeds; ``make fuzz`` runs them for as long as one likes."""

import pytest
from fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_some_inputs(name):
    for seed in range(300):
        TARGETS[name](seed)
