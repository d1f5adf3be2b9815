"""The consumer of the export queue. Only its bundle contains DuckDB."""

from services.metering.exports.consumer import write_export
from services.metering.exports.gateway.queue import ExportJob
from shared.messaging.queue import QueueConsumer

handler = QueueConsumer("metering.reporter", ExportJob, write_export)
