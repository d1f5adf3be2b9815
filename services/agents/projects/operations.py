"""Operations on the copies of projects."""

from collections.abc import Callable
from datetime import datetime

from services.agents.errors import UnknownProject
from services.agents.projects.table import ProjectCopies
from shared.copies.retry import read_until_present
from shared.ids import is_fresh
from shared.storage.store import Store

WaitForCopy = Callable[[Callable[[], bool | None]], bool]


def ensure_project(
    store: Store, tenant_id: str, project_id: str, *, now: datetime, wait: WaitForCopy = read_until_present
) -> None:
    """Check that the project exists. If its id is fresh, wait for the event of its creation.

    Raises:
        UnknownProject: the project does not exist or was deleted.
        DependencyUnavailable: the project may have just been created, but its event has not arrived yet.
    """

    def exists() -> bool | None:
        return ProjectCopies(store, tenant_id).exists(project_id)

    known = exists()
    if known is None and is_fresh(project_id, now=now):
        known = wait(exists)
    if not known:
        raise UnknownProject
