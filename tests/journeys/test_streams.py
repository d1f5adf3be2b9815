"""Streams of runs over HTTP: live, after a disconnect, and replayed from the beginning."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from cli.api import ApiRequest, send
from cli.run_stream import ReceivedEvent, follow_run, parse_events
from tests.journeys.steps import TENANT, Steps, wait_for

pytestmark = pytest.mark.mesh

SLOW_MESSAGE = "[[tokens 160]] [[delay 200]] Hello"
"""Ten pieces in two seconds."""


@dataclass
class ReceivedStream:
    """The text and events that a client has received of a run."""

    text: str = ""
    names: list[str] = field(default_factory=list[str])

    def add(self, event: ReceivedEvent) -> None:
        """Append the text of an event. A restart or a call of tools discards the text before."""
        self.names.append(event.name)
        if event.name == "run.delta":
            self.text += event.data["text"]
        if event.name in {"run.restarted", "run.requires_action"}:
            self.text = ""


def _follow(steps: Steps, run_id: str) -> Iterator[ReceivedEvent]:
    url = f"{steps.mesh.api}{TENANT}/runs/{run_id}"
    return follow_run(url, steps.mesh.token(), send=send, pause=lambda: time.sleep(0.3))


def _get_stream(steps: Steps, run_id: str, last: str | None = None) -> tuple[int, list[ReceivedEvent]]:
    headers = {"Last-Event-ID": last} if last else {}
    response = send(
        ApiRequest("GET", f"{steps.mesh.api}{TENANT}/runs/{run_id}/stream", None, headers, steps.mesh.token())
    )
    return response.status, list(parse_events(response.body)) if response.status == 200 else []


class TestLiveStream:
    def test_sends_text_while_the_run_executes(self, steps: Steps) -> None:
        run_id = steps.submit(steps.create_agent(), SLOW_MESSAGE)["run_id"]
        received, text_while_running = ReceivedStream(), ""
        for event in _follow(steps, run_id):
            received.add(event)
            if not text_while_running and steps.get_run(run_id)["status"] == "running":
                text_while_running = received.text
        ended = steps.get_run(run_id)
        assert received.text == ended["output"]["message"]
        assert text_while_running
        assert text_while_running != received.text
        assert received.names[-1] == "run.completed"
        assert set(received.names[:-1]) == {"run.delta"}

    def test_a_reconnect_neither_loses_nor_repeats_events(self, steps: Steps) -> None:
        run_id = steps.submit(steps.create_agent(), SLOW_MESSAGE)["run_id"]
        received, last = ReceivedStream(), None
        # A disconnected client has only the id of the last event. Each request is a new connection.
        status, events = _get_stream(steps, run_id)
        while status == 200:
            for event in events[:1]:
                received.add(event)
                last = event.id
            status, events = _get_stream(steps, run_id, last)
        assert received.text == steps.get_run(run_id)["output"]["message"]
        assert received.names[-1] == "run.completed"

    def test_reports_a_cancellation_immediately(self, steps: Steps) -> None:
        agent_id = steps.create_agent()
        run_id = steps.submit(agent_id, "[[tokens 4000]] [[delay 200]]")["run_id"]
        received = ReceivedStream()
        for event in _follow(steps, run_id):
            received.add(event)
            if received.names == ["run.delta"]:
                assert steps.call("PATCH", f"/runs/{run_id}", {"status": "cancelled"}).status == 202
        assert received.names[-1] == "run.cancelled"
        assert len(received.text.split()) < 1_000
        steps.assert_counted_once(agent_id, [steps.get_run(run_id)])

    def test_continues_after_tool_outputs(self, steps: Steps) -> None:
        agent_id = steps.create_agent(tools=[{"name": "weather", "parameters": {"type": "object"}}])
        run_id = steps.submit(agent_id, '[[tool weather {"city": "Wien"}]] Well?')["run_id"]
        received = ReceivedStream()
        for event in _follow(steps, run_id):
            received.add(event)
            if event.name == "run.requires_action":
                [call] = event.data["tool_calls"]
                outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "rain"}]}
                assert steps.call("POST", f"/runs/{run_id}/tool-outputs", outputs).status == 202
        assert received.names == ["run.requires_action", "run.delta", "run.completed"]
        assert received.text == steps.get_run(run_id)["output"]["message"]


class TestReplay:
    def test_sends_an_ended_run_and_then_no_content(self, steps: Steps) -> None:
        run = steps.submit(steps.create_agent(), "Hello", headers={"Prefer": "wait=25"})
        status, replayed = _get_stream(steps, run["run_id"])
        assert (status, [event.name for event in replayed]) == (200, ["run.delta", "run.completed"])
        assert replayed[0].data["text"] == run["output"]["message"]
        assert _get_stream(steps, run["run_id"], replayed[0].id)[1] == replayed[1:]
        assert _get_stream(steps, run["run_id"], replayed[-1].id)[0] == 204
        other = steps.submit(steps.create_agent(), "Hello", headers={"Prefer": "wait=25"})
        assert _get_stream(steps, other["run_id"], replayed[0].id)[0] == 400


class TestLargeRun:
    def test_is_counted_and_removed_completely(self, steps: Steps) -> None:
        agent_id = steps.create_agent()
        run = steps.submit(agent_id, "x" * 200_000, headers={"Prefer": "wait=25"})
        path = f"/runs/{run['run_id']}"
        assert run["output"]["message"].endswith("x" * 100)
        assert len(_objects(steps, run["run_id"])) == 2
        logs = [entry["event"] for entry in steps.call("GET", f"{path}/logs").body["logs"]]
        assert logs == ["queued", "leased", "call_started", "call_ended", "completed"]
        spans = steps.call("GET", f"{path}/traces").body["trace"]["spans"]
        counted = [span["attributes"].get("gen_ai.usage.input_tokens", 0) for span in spans]
        assert sum(counted) == run["usage"]["tokens_in"]
        assert steps.call("DELETE", path).status == 204
        assert steps.call("DELETE", path).status == 404
        assert _objects(steps, run["run_id"]) == []
        wait_for(steps.queues_are_empty, description="all events have arrived")
        steps.assert_counted_once(agent_id, [run])
        assert steps.dead_letters() == {}

    def test_output_over_1_mib_can_be_downloaded(self, steps: Steps) -> None:
        body = {
            "agent_id": steps.create_agent(),
            "inputs": {"message": "[[tokens 300000]]"},
            "max_output_tokens": 300_000,
        }
        run = steps.wait_for_end(steps.call("POST", "/runs", body).body["run"]["run_id"])
        artifact = run["output"]["artifact"]
        downloaded = send(ApiRequest("GET", artifact["url"])).body
        texts, last = list[str](), None
        while (response := _get_stream(steps, run["run_id"], last))[0] == 200:
            texts += [event.data["text"] for event in response[1] if "text" in event.data]
            last = response[1][-1].id
        assert downloaded == {"message": "".join(texts)}
        assert len(downloaded["message"].split()) == run["usage"]["tokens_out"] == 300_000
        assert artifact["bytes"] == len('{"message":""}') + len(downloaded["message"])


def _objects(steps: Steps, run_id: str) -> list[str]:
    bucket = steps.mesh.outputs["ArtifactsBucketName"]
    found = steps.mesh.clients.s3.list_objects_v2(Bucket=bucket, Prefix=f"tenants/demo-org/runs/{run_id}/")
    return [str(entry.get("Key")) for entry in found.get("Contents", [])]
