"""Following runs over HTTP: live, after a cut, again from the beginning."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from cli.api import ApiRequest, send
from cli.run_stream import StreamEvent, follow_run, parse_events
from tests.journeys.steps import TENANT, Steps, wait_for

pytestmark = pytest.mark.mesh

SLOW = "[[tokens 160]] [[delay 200]] Hello"
"""Ten pieces in two seconds."""


@dataclass
class Heard:
    """What a follower has of a run."""

    text: str = ""
    names: list[str] = field(default_factory=list[str])

    def note(self, event: StreamEvent) -> None:
        """Keep what stands of its text."""
        self.names.append(event.name)
        if event.name == "run.delta":
            self.text += event.data["text"]
        if event.name in {"run.restarted", "run.requires_action"}:
            self.text = ""


def _listen(steps: Steps, run_id: str) -> Iterator[StreamEvent]:
    url = f"{steps.mesh.api}{TENANT}/runs/{run_id}"
    return follow_run(url, steps.mesh.token(), send=send, pause=lambda: time.sleep(0.3))


def _ask(steps: Steps, run_id: str, last: str | None = None) -> tuple[int, list[StreamEvent]]:
    headers = {"Last-Event-ID": last} if last else {}
    answer = send(
        ApiRequest("GET", f"{steps.mesh.api}{TENANT}/runs/{run_id}/stream", None, headers, steps.mesh.token())
    )
    return answer.status, list(parse_events(answer.body)) if answer.status == 200 else []


class TestLive:
    def test_text_comes_while_the_run_goes_on_and_is_the_answer_in_the_end(self, steps: Steps) -> None:
        run_id = steps.submit(steps.agent(), SLOW)["run_id"]
        heard, before_the_end = Heard(), ""
        for event in _listen(steps, run_id):
            heard.note(event)
            if not before_the_end and steps.run(run_id)["status"] == "running":
                before_the_end = heard.text
        done = steps.run(run_id)
        assert heard.text == done["output"]["message"]
        assert before_the_end
        assert before_the_end != heard.text
        assert heard.names[-1] == "run.completed"
        assert set(heard.names[:-1]) == {"run.delta"}

    def test_a_cut_loses_nothing_and_tells_nothing_twice(self, steps: Steps) -> None:
        run_id = steps.submit(steps.agent(), SLOW)["run_id"]
        heard, last = Heard(), None
        # Whoever is cut off keeps only the id of the last event, and a new connection each time.
        status, events = _ask(steps, run_id)
        while status == 200:
            for event in events[:1]:
                heard.note(event)
                last = event.id
            status, events = _ask(steps, run_id, last)
        assert heard.text == steps.run(run_id)["output"]["message"]
        assert heard.names[-1] == "run.completed"

    def test_a_cancelled_run_says_so_at_once(self, steps: Steps) -> None:
        agent_id = steps.agent()
        run_id = steps.submit(agent_id, "[[tokens 4000]] [[delay 200]]")["run_id"]
        heard = Heard()
        for event in _listen(steps, run_id):
            heard.note(event)
            if heard.names == ["run.delta"]:
                assert steps.call("PATCH", f"/runs/{run_id}", {"status": "cancelled"}).status == 202
        assert heard.names[-1] == "run.cancelled"
        assert len(heard.text.split()) < 1_000
        steps.assert_counted_once(agent_id, [steps.run(run_id)])

    def test_tools_are_asked_for_and_the_stream_goes_on(self, steps: Steps) -> None:
        agent_id = steps.agent(tools=[{"name": "weather", "parameters": {"type": "object"}}])
        run_id = steps.submit(agent_id, '[[tool weather {"city": "Wien"}]] Well?')["run_id"]
        heard = Heard()
        for event in _listen(steps, run_id):
            heard.note(event)
            if event.name == "run.requires_action":
                [call] = event.data["tool_calls"]
                outputs = {"tool_outputs": [{"tool_call_id": call["id"], "output": "rain"}]}
                assert steps.call("POST", f"/runs/{run_id}/tool-outputs", outputs).status == 202
        assert heard.names == ["run.requires_action", "run.delta", "run.completed"]
        assert heard.text == steps.run(run_id)["output"]["message"]


class TestReplay:
    def test_tells_a_run_that_has_ended_and_then_that_nothing_more_comes(self, steps: Steps) -> None:
        run = steps.submit(steps.agent(), "Hello", headers={"Prefer": "wait=25"})
        status, told = _ask(steps, run["run_id"])
        assert (status, [event.name for event in told]) == (200, ["run.delta", "run.completed"])
        assert told[0].data["text"] == run["output"]["message"]
        assert _ask(steps, run["run_id"], told[0].id)[1] == told[1:]
        assert _ask(steps, run["run_id"], told[-1].id)[0] == 204
        other = steps.submit(steps.agent(), "Hello", headers={"Prefer": "wait=25"})
        assert _ask(steps, other["run_id"], told[0].id)[0] == 400


class TestStored:
    def test_a_large_run_is_counted_shown_and_leaves_nothing_when_it_is_deleted(self, steps: Steps) -> None:
        agent_id = steps.agent()
        run = steps.submit(agent_id, "x" * 200_000, headers={"Prefer": "wait=25"})
        path = f"/runs/{run['run_id']}"
        assert run["output"]["message"].endswith("x" * 100)
        assert len(_objects(steps, run["run_id"])) == 2
        logs = [entry["event"] for entry in steps.call("GET", f"{path}/logs").body["logs"]]
        assert logs == ["queued", "leased", "call_started", "call_ended", "completed"]
        [root, *_] = steps.call("GET", f"{path}/traces").body["trace"]["spans"]
        assert root["attributes"]["gen_ai.usage.input_tokens"] == run["usage"]["tokens_in"]
        assert steps.call("DELETE", path).status == 204
        assert steps.call("DELETE", path).status == 404
        assert _objects(steps, run["run_id"]) == []
        wait_for(steps.is_quiet, what="all events have arrived")
        steps.assert_counted_once(agent_id, [run])
        assert steps.dead_letters() == {}

    def test_an_output_over_1_mib_can_be_downloaded(self, steps: Steps) -> None:
        body = {"agent_id": steps.agent(), "inputs": {"message": "[[tokens 300000]]"}, "max_output_tokens": 300_000}
        run = steps.final(steps.call("POST", "/runs", body).body["run"]["run_id"])
        artifact = run["output"]["artifact"]
        downloaded = send(ApiRequest("GET", artifact["url"])).body
        texts, last = list[str](), None
        while (answer := _ask(steps, run["run_id"], last))[0] == 200:
            texts += [event.data["text"] for event in answer[1] if "text" in event.data]
            last = answer[1][-1].id
        assert downloaded == {"message": "".join(texts)}
        assert len(downloaded["message"].split()) == run["usage"]["tokens_out"] == 300_000
        assert artifact["bytes"] == len('{"message":""}') + len(downloaded["message"])


def _objects(steps: Steps, run_id: str) -> list[str]:
    bucket = steps.mesh.outputs["ArtifactsBucketName"]
    found = steps.mesh.clients.s3.list_objects_v2(Bucket=bucket, Prefix=f"tenants/demo-org/runs/{run_id}/")
    return [str(entry.get("Key")) for entry in found.get("Contents", [])]
