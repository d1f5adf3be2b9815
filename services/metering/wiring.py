"""The production dependencies of this service."""

import os
from functools import cache

from services.metering.counters.table.rows import SeenRows
from services.metering.exports.gateway.bucket import ExportBucket
from services.metering.exports.gateway.queue import ExportQueue, SqsExportQueue
from services.metering.exports.table import OPERATORS
from services.metering.ingestion.operations import ThrottledTenants
from services.metering.partitions import SLICE
from services.metering.summaries.operations import SummaryThrottle
from shared.aws.clients import own_client
from shared.storage.objects import Archives
from shared.wiring import SliceWiring

CONSUMER = "metering.consumer"
"""The name of the consumer function. Inbox marks contain it."""

_own = SliceWiring(SLICE, service="metering", folder="usage")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
access, is_deleted, empty_folder = _own.access, _own.is_deleted, _own.empty_folder
artifact_store = _own.artifact_store


@cache
def summary_throttle() -> SummaryThrottle:
    """Return the summary intervals that this container knows."""
    return SummaryThrottle()


@cache
def throttled_tenants() -> ThrottledTenants:
    """Return the tenants whose reports this container refused."""
    return ThrottledTenants()


@cache
def seen_rows() -> SeenRows:
    """Return the counter rows that this container knows to exist."""
    return SeenRows()


def archives() -> Archives:
    """Return the archives of every tenant."""
    return Archives(own_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"])


def export_bucket() -> ExportBucket:
    """Return the bucket of exports."""
    return ExportBucket(own_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"], owner=OPERATORS)


def export_queue() -> ExportQueue:
    """Return the queue of exports."""
    return SqsExportQueue(own_client("sqs"), url=os.environ["REPORTER_QUEUE_URL"])
