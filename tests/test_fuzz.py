"""A short run of each fuzz target; ``make fuzz`` runs them for as long as one likes."""

import random

import pytest
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_that_hypothesis_chooses(name):
    @settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.randoms(use_true_random=False))
    def run(choices):
        TARGETS[name](choices)

    run()


@pytest.mark.parametrize("name", TARGETS)
def test_inputs_by_number(name):
    for seed in range(300):
        TARGETS[name](random.Random(seed))
