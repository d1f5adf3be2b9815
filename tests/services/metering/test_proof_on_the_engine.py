"""The proof of counting on the local engine, with `PROOF_EVENTS` events."""

import os
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest

from shared.observability import logger
from shared.storage.items import Item, item_from_wire
from tests.mesh import Mesh
from tests.services.metering.proof import ProofPlan, prove
from tests.tables import make_table

pytestmark = pytest.mark.mesh

EVENTS = int(os.environ.get("PROOF_EVENTS", "500"))
SEED = int(os.environ.get("PROOF_SEED", "1"))


@pytest.fixture
def quiet() -> Iterator[None]:
    """Suppress the log lines of faults."""
    level = logger.log_level
    logger.setLevel("ERROR")
    yield
    logger.setLevel(level)


@pytest.mark.usefixtures("quiet")
def test_every_event_is_counted_once_despite_every_fault(mesh: Mesh) -> None:
    client = mesh.clients.dynamodb
    # A table of its own, because the mesh counts in the real one.
    table = f"proof-{uuid4()}"
    make_table(client, table)

    def items() -> Iterator[Item]:
        for page in client.get_paginator("scan").paginate(TableName=table):
            yield from (item_from_wire(item) for item in page["Items"])

    try:
        result = prove(ProofPlan(EVENTS, SEED), client, table=table, items=items)
    finally:
        client.delete_table(TableName=table)
    sys.stdout.write("\n".join(result.lines()) + "\n")
    assert result.holds
