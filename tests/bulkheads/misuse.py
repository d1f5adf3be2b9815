"""Attacks through documented features: tools, cost limits, suspension, and identifiers that a client chooses."""

import json
import random
import time
from collections.abc import Sequence
from typing import Any

from cli.api import ApiResponse
from shared.times import to_text, utc_now
from tests.bulkheads.attacks import Attack, together
from tests.bulkheads.tenant import FINAL, Tenant
from tests.journeys.steps import wait_for

ROUNDS = 12
OUTPUT_CHARS = 60_000
_TOOL: dict[str, Any] = {"name": "t", "description": "T", "parameters": {"type": "object"}}


def large_tool_rounds(attacker: Tenant, _: str, seed: int) -> list[ApiResponse]:
    """Submit a run whose tool outputs together exceed the size that a run may store."""
    agent_id = attacker.create_agent(model="gpt-4", tools=[_TOOL])
    calls = "".join(f'[[tool t {{"n":{number}}}]]' for number in range(ROUNDS))
    submitted = attacker.submit(f"{seed} {calls}", agent_id=agent_id, wait_s=20)
    answers = [submitted]
    run_id = submitted.body["run"]["run_id"]
    for _round in range(ROUNDS):
        run = wait_for(lambda: _settled(attacker, run_id), description=f"{run_id} asks or ends", timeout_s=120)
        if run["status"] != "requires_action":
            break
        asked = run["required_action"]["tool_calls"]
        outputs = [{"tool_call_id": call["id"], "output": "x" * OUTPUT_CHARS} for call in asked]
        answers.append(attacker.call("POST", f"/runs/{run_id}/tool-outputs", {"tool_outputs": outputs}))
        if answers[-1].status != 202:
            attacker.call("PATCH", f"/runs/{run_id}", {"status": "cancelled"})
    attacker.final(run_id)
    lists = [attacker.call("GET", f"/runs/{run_id}"), attacker.call("GET", "/runs?limit=100")]
    assert all(len(json.dumps(answer.body)) < 6_000_000 for answer in lists)
    return [*answers, *lists]


def _settled(attacker: Tenant, run_id: str) -> dict[str, Any] | None:
    run = attacker.run(run_id)
    return run if run["status"] in {*FINAL, "requires_action"} else None


def costly_tools(attacker: Tenant, _: str, seed: int) -> list[ApiResponse]:
    """Submit a run with a tool call whose tokens exceed the run's cost limit."""
    agent_id = attacker.create_agent(model="gpt-4", tools=[_TOOL])
    words = " ".join(["word"] * 4_000)
    limit = 0.02
    answer = attacker.submit(
        f"{seed} [[tool t {json.dumps({'text': words})}]]", agent_id=agent_id, wait_s=20, max_cost_usd=limit
    )
    if answer.status in {201, 202}:
        run = attacker.final(answer.body["run"]["run_id"])
        assert float(run["cost_usd"]) <= limit, run
    return [answer]


def suspended_with_a_queue(attacker: Tenant, _: str, seed: int) -> list[ApiResponse]:
    """Suspend the tenant while runs are queued. None of them may begin until the tenant is active again."""
    answers = together([lambda: attacker.submit(f"{seed} [[tokens 60]] [[delay 400]]")] * 40)
    run_ids = [answer.body["run"]["run_id"] for answer in answers if answer.status == 202]
    assert attacker.operate("POST", "/suspend", {"reason": "attack", "abuse": True}).status == 200
    refused = wait_for(lambda: _refused(attacker), description="new runs are refused", timeout_s=60)
    idle = wait_for(lambda: _without_running(attacker, run_ids), description="the executing runs end", timeout_s=120)
    time.sleep(5)
    states = [attacker.run(run_id)["status"] for run_id in run_ids]
    assert (states.count("completed"), states.count("running")) == (idle.count("completed"), 0), states
    assert attacker.operate("POST", "/reactivate").status == 200
    for run_id in run_ids:
        attacker.final(run_id, patience_s=300)
    return [*answers, refused]


def _without_running(attacker: Tenant, run_ids: Sequence[str]) -> list[str] | None:
    states = [str(attacker.run(run_id)["status"]) for run_id in run_ids]
    return None if "running" in states else states


def _refused(attacker: Tenant) -> ApiResponse | None:
    answer = attacker.submit("x")
    return answer if answer.status == 403 else None


def confusing_names(attacker: Tenant, _: str, seed: int) -> list[ApiResponse]:
    """Report usage whose source and id join to the same text, and configure providers that contradict their address."""
    rng = random.Random(seed)  # noqa: S311 — reproducible, nothing secret
    at = to_text(utc_now())
    pairs = [("a\0b", "c"), ("a", "b\0c"), ("a|b", "c"), ("a", "b|c"), ("a#", "b"), ("a", "#b"), ("é", "e\u0301")]
    pairs += [(f"s{rng.getrandbits(32)}#", f"#{rng.getrandbits(32)}") for _ in range(10)]
    events = [
        {"id": event_id, "source": source, "type": "call", "time": at, "data": {"meters": {"tokens_in": 1}}}
        for source, event_id in pairs
    ]
    answers = [attacker.call("POST", "/usage/events", {"events": [event]}) for event in events]
    counted = [result["status"] for answer in answers if answer.status == 200 for result in answer.body["results"]]
    assert "duplicate" not in counted, counted
    config = {"model": "anthropic.claude-3-haiku", "provider": "bedrock", "base_url": "https://example.com/v1"}
    contradicting = attacker.call("POST", "/agents", {"name": "B", "type": "conversational", "config": config})
    assert contradicting.status == 422, contradicting
    return [*answers, contradicting]


MISUSES = (
    Attack("6, 15", "large tool rounds", large_tool_rounds),
    Attack("13", "costly tools", costly_tools),
    Attack("11", "suspended with a queue", suspended_with_a_queue),
    Attack("14, 20", "confusing names", confusing_names),
)
