"""A lock, so that one command at a time changes the mesh of a checkout."""

import fcntl
from collections.abc import Generator
from contextlib import contextmanager

from infra.local.errors import LocalError
from infra.local.paths import Home


@contextmanager
def exclusive_lock(home: Home) -> Generator[None]:
    """Lock the mesh of a home for the duration of a command.

    Raises:
        LocalError: another command holds it.
    """
    home.state.mkdir(parents=True, exist_ok=True)
    with (home.state / "lock").open("w") as lock_file:
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = "Another command is starting, stopping or deploying this mesh. Wait until it is done."
            raise LocalError(msg) from None
        yield
