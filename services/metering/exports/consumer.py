"""Messages of the export queue."""

from services.metering import wiring
from services.metering.exports.gateway.queue import ExportJob
from services.metering.exports.operations import writer


def write_export(job: ExportJob) -> None:
    """Write an export to the bucket."""
    writer.write_export(
        wiring.slice_store(), wiring.archives(), wiring.export_bucket(), job.request, attempt=job.attempt
    )
