"""Storage of lints, for 90 days."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.agents.errors import LintNotFound
from services.agents.linting.domain import RETENTION, Lint, LintTarget, report_from_text, report_to_text
from services.agents.partitions import SLICE
from shared.storage.codec import Codec
from shared.storage.idempotency import IdempotencyKey
from shared.storage.items import Value
from shared.storage.table import TenantTable
from shared.times import epoch


@dataclass(frozen=True, slots=True)
class LintRecord:
    """A lint as it is stored."""

    lint_id: str
    target: LintTarget
    report: str
    created_at: datetime


class LintTable(TenantTable[LintRecord]):
    """The lints of a tenant."""

    prefix, id_field = "LINT#", "lint_id"
    codec = Codec(LintRecord)
    not_found = LintNotFound

    def indexed(self, record: LintRecord) -> Mapping[str, Value]:
        """Return the time at which the record expires."""
        return {"ttl": epoch(record.created_at + RETENTION)}

    def get_lint(self, lint_id: str) -> Lint:
        """Return a lint.

        Raises:
            LintNotFound: no lint has this id, or it has expired.
        """
        record = self.get(lint_id)
        return Lint(record.lint_id, record.target, report_from_text(record.report), record.created_at)

    def create(self, lint: Lint, *, idempotency_key: IdempotencyKey | None) -> None:
        """Write a new lint.

        Raises:
            AlreadyDone: the request was carried out before.
        """
        transaction = self.transaction()
        if idempotency_key:
            idempotency_key.remember(transaction, SLICE, resource_id=lint.lint_id)
        self.add(transaction, LintRecord(lint.lint_id, lint.target, report_to_text(lint.report), lint.created_at))
        self.store.commit(transaction)
