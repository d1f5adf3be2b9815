"""The real things of this service."""

import os

from services.metering.table import SLICE
from shared.storage.clients import own_client
from shared.storage.objects import Archives
from shared.wiring import SliceWiring

_own = SliceWiring(SLICE, service="metering", folder="usage")
tenant_store, slice_store, copies = _own.tenant_store, _own.slice_store, _own.copies
access, is_deleted, empty_folder = _own.access, _own.is_deleted, _own.empty_folder
depot = _own.depot


def archives() -> Archives:
    """The archives of every tenant."""
    return Archives(own_client("s3"), bucket=os.environ["ARTIFACTS_BUCKET_NAME"])
