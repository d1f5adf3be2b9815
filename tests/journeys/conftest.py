"""All journeys share one mesh."""

import pytest

from tests.journeys.steps import Steps
from tests.mesh import Mesh, mesh

__all__ = ["mesh"]


@pytest.fixture
def steps(mesh: Mesh) -> Steps:
    """What journeys do again and again."""
    return Steps(mesh)
