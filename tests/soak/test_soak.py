"""The long runs at a small dose; ``python -m tests.soak --dose 1`` runs them in full."""

from __future__ import annotations

import pytest

from tests.soak.__main__ import NAMES, SEED, run_one
from tests.soak.dose import dose_from_environment

pytestmark = pytest.mark.slow


@pytest.mark.timeout(0)  # the dose decides how long it takes; each wait within has a limit of its own
@pytest.mark.parametrize("name", NAMES)
def test_soak(name: str) -> None:
    run_one(name, seed=SEED, dose=dose_from_environment())
