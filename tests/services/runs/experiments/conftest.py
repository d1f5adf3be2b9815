"""Logging is reduced to errors, because it would take longer than the tests."""

from collections.abc import Generator

import pytest

from shared.observability import logger


@pytest.fixture(autouse=True)
def silence() -> Generator[None]:
    """Log errors only."""
    level = logger.log_level
    logger.setLevel("ERROR")
    yield
    logger.setLevel(level)
