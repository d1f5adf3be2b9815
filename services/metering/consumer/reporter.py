"""The queue of operators' exports; in a module of its own, because its bundle alone carries DuckDB."""

from services.metering import wiring
from services.metering.gateways.queue import ExportJob
from services.metering.operations import export_writing
from shared.messaging.queue import QueueConsumer


def write_export(job: ExportJob) -> None:
    """An export is in the bucket."""
    export_writing.write(
        wiring.slice_store(), wiring.archives(), wiring.export_bucket(), job.asked, attempt=job.attempt
    )


handler = QueueConsumer("metering.reporter", ExportJob, write_export)
