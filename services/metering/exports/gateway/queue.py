"""The queue between the function that is asked for exports and the one that writes them."""

from datetime import date
from typing import Any, Protocol, Self

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from services.metering.domain.export import Asked, Export, ExportFormat
from services.metering.domain.periods import Days
from shared.errors import DependencyUnavailable


class ExportJob(BaseModel):
    """An export that is to be written."""

    start: date
    end: date
    tenant_id: str | None
    format: ExportFormat
    attempt: int

    @classmethod
    def of(cls, export: Export) -> Self:
        """The message."""
        asked = export.asked
        return cls(
            start=asked.days.start,
            end=asked.days.end,
            tenant_id=asked.tenant_id,
            format=asked.format,
            attempt=export.attempt,
        )

    @property
    def asked(self) -> Asked:
        """What is to be exported."""
        return Asked(Days(self.start, self.end), self.tenant_id, self.format)


class ExportQueue(Protocol):
    """Takes exports that are to be written."""

    def put(self, export: Export) -> None:
        """Have an export written.

        Raises:
            DependencyUnavailable: the queue does not take it now.
        """
        ...


class SqsExportQueue:
    """The real queue."""

    def __init__(self, client: Any, *, url: str) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._url = url

    def put(self, export: Export) -> None:
        """See `ExportQueue.put`."""
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=ExportJob.of(export).model_dump_json())
        except (BotoCoreError, ClientError) as error:
            msg = "The queue of exports does not answer now."
            raise DependencyUnavailable(msg, retry_after_s=1) from error
