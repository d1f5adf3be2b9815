"""Runs over HTTP."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

import pytest

from services.runs.budgets.domain import next_month
from services.runs.execution.api import waits
from services.runs.functions import worker
from services.runs.functions.api import handler as app
from services.runs.runs.table.listing import RunFilter
from shared.copies.table import write_if_newer
from shared.copies.tenant_access import DELETED, TenantAccessCopies, access_key
from shared.events.envelope import new_event
from shared.events.runs import RunQueued
from shared.http.token import seal
from shared.ids import new_id
from shared.tenancy.permissions import Role
from shared.times import to_text, utc_now
from tests.forged_cursors import every_forged_position
from tests.gateway import claims, request
from tests.messages import batch
from tests.services.runs.conftest import World, know_tenant, know_version
from tests.services.runs.examples import AGENT_ID, NOW, TENANT
from tests.tenants import tenant_created

RUNS = "/v1/tenants/{tenant_id}/runs"
RUN = f"{RUNS}/{{run_id}}"
BODY = {"agent_id": AGENT_ID, "inputs": {"message": "Hello"}}


class Reply:
    """A response with its decoded body."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.status: int = answer["statusCode"]
        self.body: dict[str, Any] = json.loads(answer["body"]) if answer["body"] else {}
        self.headers = {name: values[0] for name, values in answer["multiValueHeaders"].items()}


def _post(body: object = BODY, *, tenant_id: str = TENANT, role: Role = Role.DEVELOPER, **headers: str) -> Reply:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    payload = claims(role=role)
    path = {"tenant_id": tenant_id}
    return Reply(app(request("POST", RUNS, path_parameters=path, claims=payload, body=body, headers=sent)))


def _get(run_id: str, *, tenant_id: str = TENANT) -> Reply:
    path = {"tenant_id": tenant_id, "run_id": run_id}
    return Reply(app(request("GET", RUN, path_parameters=path, claims=claims(role=Role.OBSERVER))))


def _list(**query: str) -> Reply:
    asked = {name.rstrip("_"): value for name, value in query.items()}
    return Reply(app(request("GET", RUNS, path_parameters={"tenant_id": TENANT}, claims=claims(), query=asked)))


def _path(run_id: str) -> str:
    return f"/v1/tenants/demo-org/runs/{run_id}"


def _execute(run_id: str) -> None:
    queued = RunQueued(run_id=run_id)
    payload = new_event(queued, event_id=f"{run_id}:queued", tenant_id=TENANT, subject=run_id, seq=1, at=utc_now())
    assert worker.handler(batch(payload)) == {"batchItemFailures": []}


def _change(method: str, resource: str, run_id: str, body: object, **headers: str) -> Reply:
    path = {"tenant_id": TENANT, "run_id": run_id}
    payload = claims(role=Role.DEVELOPER)
    return Reply(app(request(method, resource, path_parameters=path, claims=payload, body=body, headers=headers)))


def _cancel(run_id: str, body: object = {"status": "cancelled"}) -> Reply:
    return _change("PATCH", RUN, run_id, body)


def _delete(run_id: str, *, role: Role = Role.DEVELOPER) -> Reply:
    path = {"tenant_id": TENANT, "run_id": run_id}
    return Reply(app(request("DELETE", RUN, path_parameters=path, claims=claims(role=role))))


def _read(run_id: str, what: str) -> Reply:
    path = {"tenant_id": TENANT, "run_id": run_id}
    return Reply(app(request("GET", f"{RUN}/{what}", path_parameters=path, claims=claims(role=Role.OBSERVER))))


def _hand_in(run_id: str, *, prefer: str | None = None, **outputs: str) -> Reply:
    given = [{"tool_call_id": call_id, "output": output} for call_id, output in outputs.items()]
    headers = {"Prefer": prefer} if prefer else {}
    return _change("POST", f"{RUN}/tool-outputs", run_id, {"tool_outputs": given}, **headers)


@pytest.mark.usefixtures("world")
class TestCreateRun:
    def test_returns_202_with_the_queued_run_and_its_location(self) -> None:
        reply = _post()
        run = reply.body["run"]
        assert (reply.status, run["status"], run["version"]) == (202, "queued", 1)
        assert urljoin("/v1/tenants/demo-org/runs", reply.headers["Location"]) == _path(run["run_id"])
        assert _get(run["run_id"]).body["run"] == run

    def test_returns_202_when_the_wait_ends_first(self) -> None:
        reply = _post(Prefer="wait=3")
        assert (reply.status, reply.headers["Preference-Applied"]) == (202, "wait=3")

    @pytest.mark.report(26)
    @pytest.mark.parametrize("key", ["a\0b", "a\nb", "\u202eb"], ids=ascii)
    def test_refuses_control_characters_in_keys_of_metadata(self, key: str) -> None:
        reply = _post({**BODY, "metadata": {key: "x"}})
        assert (reply.status, reply.body["error"]) == (422, "ValidationFailed")
        [detail] = reply.body["details"]
        assert detail["message"] == "must not contain control characters"
        assert detail["field"].startswith("metadata.")
        assert detail["field"].isprintable()
        assert _post({**BODY, "metadata": {"note": "two\nlines"}}).status == 202

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"surprise": 1}, "surprise"),
            ({"metadata": {"note": "a\0b"}}, "metadata.note"),
            ({"inputs": {}}, "inputs"),
            ({"inputs": {"message": "a", "messages": [{"role": "user", "content": "b"}]}}, "inputs"),
            ({"inputs": {"messages": [{"role": "assistant", "content": "b"}]}}, "inputs"),
            ({"inputs": {"message": 7}}, "inputs.message"),
            ({"version": 0}, "version"),
            ({"agent_id": "agt_1"}, "agent_id"),
            ({"max_output_tokens": "many"}, "max_output_tokens"),
            ({"max_cost_usd": 0}, "max_cost_usd"),
            ({"max_cost_usd": "cheap"}, "max_cost_usd"),
            ({"max_cost_usd": 0.000_000_000_1}, "max_cost_usd"),
            ({"metadata": {"team": 7}}, "metadata.team"),
            ({"parameters": {"top_p": 0}}, "parameters.top_p"),
            ({"parameters": {"temperature": 3}}, "parameters.temperature"),
            ({"parameters": {"stop": ["a", "b", "c", "d", "e"]}}, "parameters.stop"),
            ({"parameters": {"seed": -1}}, "parameters.seed"),
            ({"parameters": {"max_tokens": 1}}, "parameters.max_tokens"),
            ({"parameters": {"tool_choice": "required"}}, "parameters.tool_choice"),
            ({"parameters": {"tool_choice": "perhaps"}}, "parameters.tool_choice"),
            ({"parameters": {"tool_choice": {"tool": ""}}}, "parameters.tool_choice.tool"),
            ({"inputs": {"message": []}}, "inputs.message"),
            ({"inputs": {"message": [{"type": "text"}]}}, "inputs.message.0.text.text"),
            ({"parameters": {"tool_choice": {"tool": "weather"}}}, "parameters.tool_choice"),
        ],
    )
    def test_refuses_bodies_outside_the_schema(self, change: dict[str, object], field: str) -> None:
        reply = _post({**BODY, **change})
        assert (reply.status, reply.body["error"]) == (422, "ValidationFailed")
        assert [detail["field"] for detail in reply.body["details"]] == [field]

    def test_takes_images_and_returns_them_unless_the_model_refuses_them(self, world: World) -> None:
        parts = [{"type": "text", "text": "What is this?"}, {"type": "image", "url": "https://example.com/a.png"}]
        body = {**BODY, "inputs": {"message": parts}}
        reply = _post(body)
        assert (reply.status, reply.body["details"][0]) == (
            422,
            {"field": "inputs", "message": "The model gpt-4 accepts no images."},
        )
        run = _post({**body, "version": know_version(world, 2, model="gpt-4o")}).body["run"]
        assert run["inputs"] == {"message": parts}
        assert _get(run["run_id"]).body["run"]["inputs"] == {"message": parts}

    def test_returns_the_parameters_that_were_given(self) -> None:
        given: dict[str, object] = {"temperature": 0.25, "top_p": 0.5, "stop": [], "tool_choice": "none"}
        run = _post({**BODY, "parameters": {**given, "seed": None}}).body["run"]
        assert run["parameters"] == given
        assert _get(run["run_id"]).body["run"]["parameters"] == given
        assert _post().body["run"]["parameters"] == {}

    def test_refuses_a_run_beyond_the_budget_with_its_reset_time(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_tokens_per_month=500)
        reply = _post()
        assert (reply.status, reply.body["error"]) == (429, "LimitReached")
        assert reply.body["resets_at"] == to_text(next_month(utc_now()))

    def test_returns_what_limited_the_output(self, world: World) -> None:
        assert _post().body["run"]["limited_by"] is None
        know_tenant(world.store, seq=2, max_tokens_per_month=10_000)
        assert _post().body["run"]["limited_by"] == "budget"
        assert _post({**BODY, "max_output_tokens": 2_000, "max_cost_usd": 0.05}).body["run"]["limited_by"] == "max_cost"

    def test_refuses_a_maximum_cost_below_the_input(self) -> None:
        reply = _post({**BODY, "max_cost_usd": 0.000_001})
        assert (reply.status, reply.body["error"]) == (409, "LimitReached")

    def test_refuses_a_maximum_cost_without_a_price(self, world: World) -> None:
        version = know_version(world, 2, model="mystery-1", provider="openai")
        reply = _post({**BODY, "version": version, "max_cost_usd": 1})
        assert (reply.status, reply.body["error"]) == (422, "ValidationFailed")
        assert [detail["field"] for detail in reply.body["details"]] == ["max_cost_usd"]

    def test_refuses_an_unknown_agent(self) -> None:
        reply = _post({**BODY, "agent_id": new_id("agt", NOW)})
        assert (reply.status, reply.body["error"]) == (404, "NotFound")

    def test_refuses_an_analyst(self) -> None:
        assert _post(role=Role.ANALYST).status == 403

    def test_refuses_another_tenants_path_in_any_case(self) -> None:
        assert _post(tenant_id="demo-org2").body["error"] == "Forbidden"

    def test_refuses_the_token_of_a_deleted_tenant(self, world: World) -> None:
        tombstone = {**access_key(world.store.owned, TENANT).attributes, "seq": 99, "status": DELETED}
        write_if_newer(world.store, TENANT, tombstone)
        assert (_post().status, _post().body["error"]) == (403, "Forbidden")

    def test_executes_an_idempotent_request_once(self) -> None:
        first = _post(Idempotency_Key="abc")
        run_id = first.body["run"]["run_id"]
        again = _post(Idempotency_Key="abc")
        assert (again.status, again.headers["Idempotent-Replayed"]) == (202, "true")
        assert again.body["run"]["run_id"] == run_id
        _execute(run_id)
        final = _post(Idempotency_Key="abc")
        assert (final.status, final.body["run"]["status"]) == (201, "completed")

    def test_refuses_another_body_under_the_same_key(self) -> None:
        _post(Idempotency_Key="abc")
        reply = _post({**BODY, "version": 1}, Idempotency_Key="abc")
        assert (reply.status, reply.body["error"]) == (422, "IdempotencyKeyReused")


@pytest.mark.usefixtures("world")
class TestGetRun:
    def test_returns_output_usage_and_calls(self) -> None:
        run_id = _post().body["run"]["run_id"]
        _execute(run_id)
        run = _get(run_id).body["run"]
        assert run["output"] == {"message": "This is a simulated answer. You said: Hello"}
        assert run["simulated"] is True
        assert run["usage"]["tokens_out"] == 8
        [attempt] = run["attempts"]
        assert (attempt["outcome"], attempt["usage_certain"]) == ("completed", True)
        [call] = attempt["calls"]
        assert (call["provider"], call["model"], call["status"]) == ("simulated", "gpt-4", "completed")

    def test_returns_404_for_an_unknown_id(self) -> None:
        assert _get(new_id("run", NOW)).status == 404

    def test_refuses_another_tenants_path(self) -> None:
        assert _get(new_id("run", NOW), tenant_id="enterprise-test").status == 403


@pytest.mark.usefixtures("world")
class TestCancelRun:
    def test_cancels_a_queued_run_at_once(self) -> None:
        run_id = _post().body["run"]["run_id"]
        reply = _cancel(run_id)
        assert (reply.status, reply.body["run"]["status"]) == (200, "cancelled")
        _execute(run_id)
        assert _get(run_id).body["run"]["status"] == "cancelled"

    def test_refuses_a_run_that_has_ended(self) -> None:
        run_id = _post().body["run"]["run_id"]
        _execute(run_id)
        reply = _cancel(run_id)
        assert (reply.status, reply.body["error"]) == (409, "Conflict")

    @pytest.mark.parametrize("body", [{"status": "completed"}, {}, {"status": "cancelled", "reason": "x"}])
    def test_refuses_other_changes(self, body: dict[str, str]) -> None:
        assert _cancel(_post().body["run"]["run_id"], body).status == 422


@pytest.mark.usefixtures("world")
class TestDeleteRun:
    def test_returns_204_then_404(self) -> None:
        run_id = _post().body["run"]["run_id"]
        assert _delete(run_id).status == 409
        _execute(run_id)
        deleted = _delete(run_id)
        assert (deleted.status, deleted.body) == (204, {})
        assert (_delete(run_id).status, _get(run_id).status) == (404, 404)

    def test_refuses_an_analyst(self) -> None:
        assert _delete(new_id("run", NOW), role=Role.ANALYST).status == 403


@pytest.mark.usefixtures("world")
class TestHistory:
    TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"

    def test_is_in_order_and_continues_the_callers_trace(self) -> None:
        run_id = _post(traceparent=f"00-{self.TRACE}-00f067aa0ba902b7-01").body["run"]["run_id"]
        _execute(run_id)
        logs = _read(run_id, "logs").body["logs"]
        assert [entry["event"] for entry in logs] == ["queued", "leased", "call_started", "call_ended", "completed"]
        trace = _read(run_id, "traces").body["trace"]
        assert trace["trace_id"] == self.TRACE
        assert [span["name"].split()[0] for span in trace["spans"]] == ["invoke_agent", "queue", "chat"]
        assert {span["status"] for span in trace["spans"]} == {"ok"}

    @pytest.mark.parametrize("what", ["logs", "traces"])
    def test_returns_404_for_an_unknown_run(self, what: str) -> None:
        assert _read(new_id("run", NOW), what).status == 404


@pytest.mark.usefixtures("world")
class TestStorage:
    def test_returns_409_when_full(self, world: World) -> None:
        TenantAccessCopies(world.store).keep(tenant_created(TENANT, seq=7, max_storage_gb=0))
        reply = _post()
        assert (reply.status, reply.body["error"]) == (409, "LimitReached")


@pytest.mark.usefixtures("world")
class TestToolOutputs:
    def test_continue_the_run_and_are_idempotent(self) -> None:
        asked = {**BODY, "inputs": {"message": '[[tool weather {"city": "Wien"}]]'}}
        run_id = _post(asked).body["run"]["run_id"]
        _execute(run_id)
        waiting = _get(run_id).body["run"]
        assert waiting["status"] == "requires_action"
        [call] = waiting["required_action"]["tool_calls"]
        assert call == {"id": "call_1", "name": "weather", "arguments": '{"city": "Wien"}'}
        assert _hand_in(run_id, call_9="rain").status == 422
        reply = _hand_in(run_id, call_1="rain")
        assert (reply.status, reply.body["run"]["status"]) == (202, "queued")
        assert _hand_in(run_id, call_1="rain").status == 202
        _execute(run_id)
        again = _hand_in(run_id, call_1="rain")
        assert (again.status, again.body["run"]["status"]) == (200, "completed")
        assert _hand_in(run_id, call_1="snow").status == 409

    def test_are_waited_for(self) -> None:
        run_id = _post({**BODY, "inputs": {"message": "[[tool weather {}]]"}}).body["run"]["run_id"]
        _execute(run_id)
        reply = _hand_in(run_id, prefer="wait=1", call_1="rain")
        assert (reply.status, reply.body["run"]["status"]) == (202, "queued")
        assert reply.headers["Preference-Applied"] == "wait=1"
        _execute(run_id)
        reply = _hand_in(run_id, prefer="wait=20", call_1="rain")
        assert (reply.status, reply.body["run"]["status"]) == (200, "completed")
        assert reply.headers["Preference-Applied"] == "wait=20"

    @pytest.mark.parametrize("output", ["\0", "a\0b"])
    def test_refuse_text_that_cannot_be_encoded(self, output: str) -> None:
        run_id = _post({**BODY, "inputs": {"message": "[[tool weather {}]]"}}).body["run"]["run_id"]
        _execute(run_id)
        reply = _hand_in(run_id, call_1=output)
        assert (reply.status, reply.body["error"]) == (422, "ValidationFailed")
        assert [detail["field"] for detail in reply.body["details"]] == ["tool_outputs.0.output"]
        assert _hand_in(run_id, call_1="rain").status == 202


@pytest.mark.usefixtures("world")
class TestListRuns:
    def test_pages_through_all_runs(self) -> None:
        made = [_post().body["run"]["run_id"] for _ in range(3)]
        first = _list(limit="2")
        assert first.body["pagination"]["hasMore"] is True
        rest = _list(limit="2", next_token=first.body["pagination"]["nextToken"])
        assert rest.body["pagination"] == {"nextToken": None, "hasMore": False}
        assert sorted(run["run_id"] for run in (*first.body["runs"], *rest.body["runs"])) == sorted(made)

    def test_refuses_a_token_of_another_filter(self) -> None:
        for _ in range(2):
            _post()
        token = _list(limit="1").body["pagination"]["nextToken"]
        reply = _list(limit="1", status="queued", next_token=token)
        assert (reply.status, reply.body["error"]) == (400, "BadRequest")

    def test_filters(self) -> None:
        _post()
        tomorrow = (utc_now() + timedelta(days=1)).isoformat()
        assert len(_list(status="queued", to=tomorrow).body["runs"]) == 1
        assert _list(status="completed").body["runs"] == []
        assert _list(from_=tomorrow).body["runs"] == []

    def test_filters_by_metadata(self) -> None:
        red = _post({**BODY, "metadata": {"team": "red", "ticket": "a:b"}}).body["run"]["run_id"]
        _post({**BODY, "metadata": {"team": "blue"}})
        _post()

        def found(**query: str) -> list[str]:
            return [run["run_id"] for run in _list(**query).body["runs"]]

        assert found(metadata="team:red") == [red]
        assert found(metadata="ticket:a:b", status="queued", agent_id=AGENT_ID) == [red]
        assert found(metadata="team:red", status="completed") == []
        assert found(metadata="team:re") == found(metadata="tea:red") == []

    def test_pages_of_a_filter_by_metadata_have_every_run_once(self) -> None:
        teams = ("red", "blue", "red", "blue", "red")
        made = [_post({**BODY, "metadata": {"team": team}}).body["run"]["run_id"] for team in teams]
        runs, token = list[str](), dict[str, str]()
        while True:
            body = _list(limit="1", metadata="team:red", **token).body
            runs += [run["run_id"] for run in body["runs"]]
            if not body["pagination"]["hasMore"]:
                break
            token = {"next_token": body["pagination"]["nextToken"]}
        assert sorted(runs) == sorted(made[::2])
        first = _list(limit="1", metadata="team:red").body["pagination"]["nextToken"]
        assert _list(limit="1", metadata="team:blue", next_token=first).status == 400

    @pytest.mark.parametrize(
        "query",
        [
            {"limit": "0"},
            {"limit": "101"},
            {"status": "gone"},
            {"from": "yesterday"},
            {"metadata": "team"},
            {"metadata": ":red"},
            {"metadata": "team:r\ned"},
            {"from": "1764460800"},
            {"from": "2026-11-22"},
            {"color": "red"},
        ],
    )
    def test_refuses_unknown_filters(self, query: dict[str, str]) -> None:
        reply = _list(**query)
        assert (reply.status, reply.body["error"]) == (422, "ValidationFailed")

    def test_refuses_an_empty_range(self) -> None:
        reply = _list(from_="2026-11-22T00:00:00Z", to="2026-11-22T00:00:00Z")
        assert reply.status == 422


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        (None, None),
        ("respond-async", None),
        ("wait=10", 10),
        ("respond-async, wait=10", 10),
        ('wait="7"', 7),
        ("wait=99", 25),
        ("wait=0", None),
        ("wait=soon", None),
    ],
)
def test_parses_prefer_wait(prefer: str | None, seconds: int | None) -> None:
    assert waits(prefer) == seconds


@pytest.mark.usefixtures("world")
class TestInvalidIds:
    @pytest.mark.parametrize("agent_id", ["\ud800", "agt_", "", "agt_" + "0" * 27, "agt_" + "0" * 2_000, "agt_1#2"])
    def test_agent_is_refused_before_the_lookup(self, agent_id: str) -> None:
        assert _post({**BODY, "agent_id": agent_id}).status in {400, 422}

    @pytest.mark.parametrize("digits", [7, 400, 900, 4_000])
    def test_version_returns_422(self, digits: int) -> None:
        reply = _post({**BODY, "version": 10**digits})
        assert (reply.status, [detail["field"] for detail in reply.body["details"]]) == (422, ["version"])

    def test_path_with_an_invalid_character_returns_404(self) -> None:
        assert _get("run_\0").status == _get("run_\ud800").status == 404


@pytest.mark.usefixtures("world")
class TestForgedTokens:
    @every_forged_position
    def test_are_refused_by_the_list(self, position: str) -> None:
        assert _list(next_token=seal(position, TENANT, "runs", repr(RunFilter()))).status == 400

    @pytest.mark.parametrize(
        "moment", ["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "9999-12-31T00:00:00Z"]
    )
    @pytest.mark.parametrize("name", ["from_", "to"])
    def test_time_at_the_end_of_the_calendar_returns_422(self, name: str, moment: str) -> None:
        assert _list(**{name: moment}).status == 422
