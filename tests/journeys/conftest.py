"""All journeys share one mesh, that of `tests/conftest.py`."""

import pytest

from tests.journeys.steps import Steps
from tests.mesh import Mesh


@pytest.fixture
def steps(mesh: Mesh) -> Steps:
    """What journeys do again and again."""
    return Steps(mesh)
