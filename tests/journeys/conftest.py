"""Fixtures of the journeys, which share the mesh of `tests/conftest.py`."""

import pytest

from tests.journeys.steps import Steps
from tests.mesh import Mesh


@pytest.fixture
def steps(mesh: Mesh) -> Steps:
    """Return the common steps of journeys."""
    return Steps(mesh)
