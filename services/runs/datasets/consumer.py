"""The job that validates uploads."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from services.runs import wiring
from services.runs.datasets.operations.validation import validate_upload
from services.runs.execution.schemas import NewRunInputs
from shared.aws.credentials import acting_for
from shared.copies.tenant_access import DELETED
from shared.events.envelope import Event
from shared.events.runs import DatasetUploadReceived
from shared.messaging.consumer import EventRouter
from shared.storage.inbox import Delivery
from shared.times import utc_now
from shared.validation import message_of, path_of

events = EventRouter()


@events.on(DatasetUploadReceived)
def validate_received_upload(event: Event[DatasetUploadReceived], _: Delivery) -> None:
    """Publish the file of an upload as a version, or reject it. Only the state of the upload decides what happens."""
    with acting_for(event.tenant_id):
        access = wiring.access(event.tenant_id)
        if access.status == DELETED:
            return
        validate_upload(
            wiring.tenant_store(),
            wiring.tenant_datasets(),
            access,
            event.data.dataset_id,
            event.data.upload_id,
            check_inputs=check_inputs,
            now=utc_now(),
        )


def check_inputs(content: object) -> Mapping[str, Any]:
    """Return the inputs of a run.

    Raises:
        ValueError: with the first reason why a run would not accept them.
    """
    try:
        return NewRunInputs.model_validate(content).model_dump(exclude_none=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(path_of(first["loc"]))
        msg = f"{field} {message_of(first)}".strip()
        raise ValueError(msg) from error
