"""The queue between the function that receives export requests and the function that writes exports."""

from datetime import date
from typing import Any, Protocol, Self

from botocore.exceptions import BotoCoreError, ClientError
from pydantic import BaseModel

from services.metering.counters.domain.days import Days
from services.metering.exports.domain import ExportFormat, ExportRequest, LedgerExport
from shared.errors import DependencyUnavailable


class ExportJob(BaseModel):
    """The message that requests the writing of an export."""

    start: date
    end: date
    tenant_id: str | None
    format: ExportFormat
    attempt: int

    @classmethod
    def of(cls, export: LedgerExport) -> Self:
        """Return the message for an export."""
        request = export.request
        return cls(
            start=request.days.start,
            end=request.days.end,
            tenant_id=request.tenant_id,
            format=request.format,
            attempt=export.attempt,
        )

    @property
    def request(self) -> ExportRequest:
        """The parameters of the export."""
        return ExportRequest(Days(self.start, self.end), self.tenant_id, self.format)


class ExportQueue(Protocol):
    """The queue of exports to write."""

    def put(self, export: LedgerExport) -> None:
        """Queue an export for writing.

        Raises:
            DependencyUnavailable: the queue does not accept it now.
        """
        ...


class SqsExportQueue:
    """The queue in SQS."""

    def __init__(self, client: Any, *, url: str) -> None:  # noqa: ANN401 — botocore creates its clients at run time
        self._client = client
        self._url = url

    def put(self, export: LedgerExport) -> None:
        """See `ExportQueue.put`."""
        try:
            self._client.send_message(QueueUrl=self._url, MessageBody=ExportJob.of(export).model_dump_json())
        except (BotoCoreError, ClientError) as error:
            msg = "The export queue is unavailable. Try again."
            raise DependencyUnavailable(msg, retry_after_s=1) from error
