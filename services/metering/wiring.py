"""The real things of this service."""

import os
from functools import cache

from services.metering.gateways.bucket import ExportBucket
from services.metering.gateways.queue import ExportQueue, SqsExportQueue
from services.metering.operations.ingesting import RefusedTenants
from services.metering.operations.summarising import Pauses
from services.metering.table import SLICE, exports
from services.metering.table.rows import SeenRows
from shared.storage.clients import own_client
from shared.storage.objects import Archives
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="metering", folder="usage")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
access, is_deleted, empty_folder = _own.access, _own.is_deleted, _own.empty_folder
depot = _own.depot


@cache
def pauses() -> Pauses:
    """Between summaries, as this container knows of them."""
    return Pauses()


@cache
def refused_tenants() -> RefusedTenants:
    """Return the tenants that this container has refused to take reports from."""
    return RefusedTenants()


@cache
def seen_rows() -> SeenRows:
    """Return the rows of counters that this container knows to exist."""
    return SeenRows()


def archives() -> Archives:
    """The archives of every tenant."""
    return Archives(own_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"])


def export_bucket() -> ExportBucket:
    """Where exports lie."""
    return ExportBucket(own_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"], owner=exports.OPERATORS)


def export_queue() -> ExportQueue:
    """Who writes exports."""
    return SqsExportQueue(own_client("sqs"), url=os.environ["REPORTER_QUEUE_URL"])
