"""Items of runs: their attributes keep the names and values that earlier releases wrote."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from services.runs.agents.domain import AgentCopy, VersionCopy
from services.runs.agents.table import AgentCopyTable, VersionCopyTable
from services.runs.partitions import SLICE
from services.runs.tenants.domain import RunStop
from services.runs.tenants.table import StopTable
from shared.document_ref import DocumentRef
from shared.storage.store import Store
from shared.storage.table import TenantTable
from tests.dynamodb.memory import MemoryDynamoDB

AT, AT_TEXT = datetime(2026, 11, 22, 20, 13, 7, tzinfo=UTC), "2026-11-22T20:13:07.000Z"
MakeTable = Callable[[Store, str], TenantTable[Any]]

ITEMS: Mapping[str, tuple[MakeTable, object, dict[str, Any]]] = {
    "agent": (
        AgentCopyTable,
        AgentCopy("agt_1", 3, "prj_1", 2, 4, deleted=False, received_at=AT),
        {
            "PK": "TENANT#acme#RUNS",
            "SK": "COPY#AGENT#agt_1",
            "seq": 3,
            "project_id": "prj_1",
            "live_version": 2,
            "latest_version": 4,
            "deleted": False,
            "heard_at": AT_TEXT,
        },
    ),
    "deleted agent": (
        AgentCopyTable,
        AgentCopy("agt_1", 9, None, 0, 0, deleted=True, received_at=AT),
        {
            "PK": "TENANT#acme#RUNS",
            "SK": "COPY#AGENT#agt_1",
            "seq": 9,
            "project_id": None,
            "live_version": 0,
            "latest_version": 0,
            "deleted": True,
            "heard_at": AT_TEXT,
        },
    ),
    "version": (
        VersionCopyTable,
        VersionCopy("agt_1", 12, DocumentRef("tenants/acme/agents/agt_1/versions/12.json", "5ha")),
        {
            "PK": "TENANT#acme#RUNS",
            "SK": "COPY#VERSION#agt_1#0000012",
            "seq": 1,
            "config_key": "tenants/acme/agents/agt_1/versions/12.json",
            "config_sha256": "5ha",
        },
    ),
    "stop": (
        StopTable,
        RunStop("acme", 4, AT, checked_to="run_1"),
        {
            "PK": "TENANT#acme#RUNS",
            "SK": "STOPPING",
            "tenant_id": "acme",
            "seq": 4,
            "since": AT_TEXT,
            "checked_to": "run_1",
            "due_pk": "DUE#RUNS#STOPPING",
            "due_sk": f"{AT_TEXT}#acme",
        },
    ),
}


def without_none(value: Any) -> Any:  # noqa: ANN401 — any attribute
    """Return a value without NULL, which means the same as a missing attribute."""
    if isinstance(value, dict):
        return {name: without_none(one) for name, one in value.items() if one is not None}  # pyright: ignore[reportUnknownVariableType]
    return [without_none(one) for one in value] if isinstance(value, list) else value  # pyright: ignore[reportUnknownVariableType]


@pytest.mark.parametrize("name", ITEMS)
def test_of_earlier_releases_are_read_and_written_alike(name: str) -> None:
    make, record, item = ITEMS[name]
    table = make(Store(MemoryDynamoDB(), table="entities", owned=SLICE), "acme")
    assert table.decode(item) == record
    assert table.item(record) == without_none(item)
