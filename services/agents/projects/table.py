"""The copies of projects."""

from dataclasses import dataclass

from services.agents.errors import UnknownProject
from shared.copies.table import CopyTable
from shared.storage.codec import Codec
from shared.storage.transaction import Transaction, refuse_with


@dataclass(frozen=True, slots=True)
class ProjectCopy:
    """The copy of a project. That of a deleted project remains."""

    project_id: str
    seq: int
    deleted: bool


class ProjectCopies(CopyTable[ProjectCopy]):
    """The copies of a tenant's projects."""

    prefix, id_field = "COPY#PROJECT#", "project_id"
    codec = Codec(ProjectCopy, given=("project_id",))

    def require(self, transaction: Transaction, project_id: str) -> None:
        """Apply a transaction only if the project exists.

        The transaction is refused with `UnknownProject`.
        """
        exists = self.equal(deleted=False)
        transaction.check(self.key(project_id), when=exists, otherwise=refuse_with(UnknownProject()))

    def exists(self, project_id: str) -> bool | None:
        """Return whether the project exists: False if it was deleted, None if no event of it has arrived."""
        copy = self.find(project_id)
        return None if copy is None else not copy.deleted
