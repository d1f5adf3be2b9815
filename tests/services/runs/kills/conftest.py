"""So many functions live and die here that what they say aloud would take longer than what they do."""

from collections.abc import Generator

import pytest

from shared.observability import logger


@pytest.fixture(autouse=True)
def silence() -> Generator[None]:
    """Only errors are logged."""
    level = logger.log_level
    logger.setLevel("ERROR")
    yield
    logger.setLevel(level)
