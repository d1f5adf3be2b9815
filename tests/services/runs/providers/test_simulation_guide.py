"""The examples of the guide to simulated models are sent as they are, and have the documented responses."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest

from infra.bundle.target import ROOT
from services.agents.agents.domain import AgentConfig
from services.runs.agents.domain import VersionCopy
from services.runs.agents.table import VersionCopyTable
from services.runs.execution import consumer
from services.runs.functions.api import handler as app
from shared.tenancy.permissions import Role
from tests.gateway import claims, request
from tests.guides.page import MarkdownPage
from tests.services.runs.conftest import World
from tests.services.runs.examples import AGENT_ID, TENANT

RUNS = "/v1/tenants/{tenant_id}/runs"
RUN = f"{RUNS}/{{run_id}}"
PAGE = MarkdownPage(ROOT / "docs" / "guides" / "simulation.md")
BLOCKS: list[dict[str, Any]] = [json.loads(block) for block in PAGE.blocks("json")]
DIRECTIVES = re.findall(r"^\| `\[\[(\w+)", PAGE.text, re.MULTILINE)


class Client:
    """A client of the API in this process, with an agent that has one version for each config."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._version = 1
        self._run_id = ""

    def send(self, block: dict[str, Any]) -> None:
        """Store a config, or send a body and execute its run."""
        match block:
            case {"config": config}:
                self._version += 1
                path = f"agents/{AGENT_ID}/versions/{self._version}.json"
                stored = self._world.documents.write(TENANT, path, AgentConfig.model_validate(config).to_document())
                VersionCopyTable(self._world.store, TENANT).keep(VersionCopy(AGENT_ID, self._version, stored))
            case {"inputs": _}:
                body = {"agent_id": AGENT_ID, "version": self._version, **block}
                self._run_id = self._request("POST", RUNS, body)["run"]["run_id"]
                self._execute()
            case {"tool_outputs": _}:
                self._request("POST", f"{RUN}/tool-outputs", block)
                self._execute()
            case _:
                pytest.fail(f"an unknown kind of block: {block}")

    def read(self) -> dict[str, Any]:
        """Return the response with the last run."""
        return self._request("GET", RUN)

    def _request(self, method: str, resource: str, body: object = None) -> dict[str, Any]:
        path = {"tenant_id": TENANT, "run_id": self._run_id}
        payload = claims(role=Role.DEVELOPER)
        answer = app(request(method, resource, path_parameters=path, claims=payload, body=body))
        assert answer["statusCode"] < 300, answer["body"]
        return json.loads(answer["body"])

    def _execute(self) -> None:
        worker = consumer._worker(TENANT)  # pyright: ignore[reportPrivateUsage]  # the deployed one, without its pauses
        replace(worker, sleep=_no_sleep).execute(self._run_id)


def _no_sleep(_: float) -> None:
    """Do nothing."""


def _documented_part(actual: Any, documented: Any) -> Any:  # noqa: ANN401 — any JSON
    """Return the part of a response that the documented one shows."""
    if isinstance(actual, dict) and isinstance(documented, dict):
        fields, shown = cast("dict[str, Any]", actual), cast("dict[str, Any]", documented)
        return {name: _documented_part(fields.get(name), part) for name, part in shown.items()}
    if isinstance(actual, list) and isinstance(documented, list):
        pairs = zip(cast("list[Any]", actual), cast("list[Any]", documented), strict=True)
        return [_documented_part(one, part) for one, part in pairs]
    return cast("Any", actual)


def test_every_example_has_the_documented_response(world: World) -> None:
    client, documented, actual = Client(world), list[Any](), list[Any]()
    for block in BLOCKS:
        if "run" in block:
            documented.append(block)
            actual.append(_documented_part(client.read(), block))
        else:
            client.send(block)
    assert actual == documented
    assert len(documented) == sum("inputs" in block or "tool_outputs" in block for block in BLOCKS)


def test_every_request_is_followed_by_its_response() -> None:
    requests = [(before, after) for before, after in pairwise(BLOCKS) if "inputs" in before or "tool_outputs" in before]
    assert requests
    assert all("run" in after for _, after in requests)


@pytest.mark.parametrize("directive", sorted(set(DIRECTIVES)))
def test_every_directive_has_an_example(directive: str) -> None:
    messages = [block["inputs"]["message"] for block in BLOCKS if "inputs" in block]
    assert any(f"[[{directive}" in message for message in messages)


def test_every_directive_of_the_provider_is_documented() -> None:
    source = (ROOT / "services/runs/providers/gateway/simulated.py").read_text()
    assert set(re.findall(r"^ {4}\[\[(\w+)", source, re.MULTILINE)) == set(DIRECTIVES)


def test_compares_what_is_documented_alone() -> None:
    assert _documented_part({"a": [{"b": 1, "c": 2}], "d": 3}, {"a": [{"b": 1}]}) == {"a": [{"b": 1}]}
    assert _documented_part({"a": 1}, {"b": None}) == {"b": None}
