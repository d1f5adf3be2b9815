"""Attacks by one tenant, one for each row of faults in a review. Each returns the responses that it received."""

import json
import random
import string
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from cli.api import ApiResponse
from shared.times import to_text, utc_now
from tests.bulkheads.tenant import FINAL, Tenant

BOMB: dict[str, Any] = {
    "$defs": {"n": {"anyOf": [{"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}}] * 2}},
    "$ref": "#/$defs/n",
}
DOCUMENTED = frozenset({200, 201, 202, 204, 400, 402, 403, 404, 409, 412, 413, 415, 422, 429})
"""Every documented status below 500."""


@dataclass(frozen=True)
class Attack:
    """A kind of attack."""

    row: str
    """The row of the review."""
    name: str
    begin: Callable[[Tenant, str, int], Iterable[ApiResponse]]
    """The function that attacks, with the attacker, the `base_url` of a hostile model server, and a seed."""


def together(calls: Sequence[Callable[[], ApiResponse]], *, at_once: int = 8) -> list[ApiResponse]:
    """Make these calls, at most `at_once` concurrently."""
    with ThreadPoolExecutor(at_once) as pool:
        return [done.result() for done in [pool.submit(call) for call in calls]]


def runs_of(attacker: Tenant, messages: Iterable[str], *, agent_id: str = "") -> list[ApiResponse]:
    """Submit runs concurrently, wait until they end, and read each run and the list of runs."""
    submitted = together([lambda message=message: attacker.submit(message, agent_id=agent_id) for message in messages])
    ids = [answer.body["run"]["run_id"] for answer in submitted if answer.status == 202]
    for run_id in ids:
        run = attacker.final(run_id, patience_s=300)
        assert run["status"] in FINAL
        error = run["error"] or {"code": ""}
        assert error["code"] not in {"AttemptsExhausted", "Unexpected"}, run
        assert len(run["attempts"]) == 1, run
    read = [attacker.call("GET", f"/runs/{run_id}") for run_id in ids]
    return [*submitted, *read, attacker.call("GET", "/runs?limit=100")]


def schema_bomb(attacker: Tenant, base_url: str, _: int) -> list[ApiResponse]:
    """Attack with a recursive schema, whose validation time doubles with each level of the output."""
    body = {"model": "hostile", "base_url": base_url, "response_schema": BOMB}
    created = attacker.call("POST", "/agents", {"name": "B", "type": "conversational", "config": body})
    if created.status != 201:
        return [created]
    messages = [f"{{{{branching {depth}}}}}" for depth in range(12, 22)]
    return [created, *runs_of(attacker, messages, agent_id=created.body["agent"]["agent_id"])]


def hostile_answers(attacker: Tenant, base_url: str, _: int) -> list[ApiResponse]:
    """Attack with outputs that are huge, deep, endless, or not valid JSON."""
    structured = attacker.create_agent(model="hostile", base_url=base_url, response_schema={"type": "object"})
    plain = attacker.create_agent(
        model="hostile", base_url=base_url, tools=[{"name": "t", "description": "T", "parameters": {"type": "object"}}]
    )
    odd = ["{{deep 200}}", "{{deep 252}}", "{{deep 900}}", "{{digits 4000}}", "{{nul}}", "{{half}}"]
    raw = ["{{bare-half}}", "{{half-arguments}}", "{{mixed-indexes}}", *["{{large 20000000}}"] * 10]
    return [*runs_of(attacker, odd, agent_id=structured), *runs_to_the_end(attacker, raw, agent_id=plain)]


def runs_to_the_end(attacker: Tenant, messages: Iterable[str], *, agent_id: str) -> list[ApiResponse]:
    """Submit and read runs as `runs_of` does, and cancel those that wait for tool outputs."""
    submitted = together(
        [lambda message=message: attacker.submit(message, agent_id=agent_id, wait_s=20) for message in messages]
    )
    ids = [answer.body["run"]["run_id"] for answer in submitted if answer.status in {201, 202}]
    for run_id in ids:
        if attacker.run(run_id)["status"] == "requires_action":
            attacker.call("PATCH", f"/runs/{run_id}", {"status": "cancelled"})
        attacker.final(run_id, patience_s=300)
    return [*submitted, attacker.call("GET", "/runs?limit=100")]


def many_dimensions(attacker: Tenant, _: str, seed: int) -> list[ApiResponse]:
    """Report usage in which each event has unique names, which need a row each."""
    rng = random.Random(seed)  # noqa: S311 — reproducible, nothing secret

    def events(number: int) -> dict[str, Any]:
        now = to_text(utc_now())
        return {
            "events": [
                {
                    "id": f"{seed}-{number}-{one}",
                    "source": "attack",
                    "type": "call",
                    "time": now,
                    "data": {"meters": {"tokens_in": 1}, "model": f"m{rng.getrandbits(64)}", "agent_id": f"a{one}"},
                }
                for one in range(100)
            ]
        }

    bodies = [events(number) for number in range(60)]
    return together([lambda body=body: attacker.call("POST", "/usage/events", body) for body in bodies])


def full_settings(attacker: Tenant, _: str, seed: int) -> list[ApiResponse]:
    """Fill the settings piece by piece, and store settings that are nested too deep."""
    deep: Any = 1
    for _level in range(260):
        deep = {"a": deep}
    pieces = [{"settings": {f"k{seed}{number}": "x" * 15_000}} for number in range(30)]
    answers = [attacker.call("PUT", "", body) for body in (*pieces, {"settings": {"deep": deep}})]
    assert attacker.call("GET", "").status == 200
    assert attacker.operate("POST", "/suspend", {"reason": "attack"}).status == 200
    assert attacker.operate("POST", "/reactivate").status == 200
    return answers


def full_runs(attacker: Tenant, _: str, seed: int) -> list[ApiResponse]:
    """Submit runs with the maximum of metadata, fallbacks and turns."""
    metadata = {f"k{number}": "é" * 500 for number in range(100)}
    config = {"model": "gpt-4", "fallbacks": [{"model": f"gpt-4-{seed}-{number}"} for number in range(200)]}
    created = attacker.call("POST", "/agents", {"name": "F", "type": "conversational", "config": config})
    submitted = together([lambda: attacker.submit("[[tokens 5]]", metadata=metadata) for _ in range(60)])
    answers = [created, *submitted, attacker.call("GET", "/runs?limit=100")]
    assert len(json.dumps(answers[-1].body)) < 6_000_000
    return answers


def flood(attacker: Tenant, _: str, seed: int) -> list[ApiResponse]:
    """Submit more slow runs than the tenant's share, both background and waited runs."""
    slow = [f"flood {seed} [[tokens 60]] [[delay 300]]"] * 150
    answers = together([lambda message=message: attacker.submit(message) for message in slow])
    waited = together([lambda: attacker.submit(slow[0], wait_s=5)] * 16, at_once=16)
    return [*answers, *waited]


def odd_requests(attacker: Tenant, _: str, seed: int) -> list[ApiResponse]:
    """Send malformed ids, tokens and bodies."""
    rng = random.Random(seed)  # noqa: S311 — reproducible, nothing secret
    odd = ["a" * 2000, "\ud800", "run_" + "Z" * 26, "\0", "9" * 980, "../../x", "%00", "agt_" + "😀" * 30]
    runs: list[dict[str, Any]] = [{"agent_id": one, "inputs": {"message": "x"}} for one in odd]
    runs += [
        {"agent_id": attacker.agent_id, "version": int("9" * digits), "inputs": {"message": "x"}}
        for digits in (20, 980)
    ]
    runs += [{"agent_id": attacker.agent_id, "inputs": _random_json(rng, 0)} for _ in range(40)]
    runs += [
        {"agent_id": attacker.agent_id, "inputs": {"message": "x"}, "metadata": _random_json(rng, 0)} for _ in range(40)
    ]
    tokens = ["x", "eyJ9", "A" * 3000, *("".join(rng.choices(string.ascii_letters + "-_", k=60)) for _ in range(5))]
    lists = ("runs", "agents", "projects", "users", "usage/events", "audit", "billing/invoices")
    reads = [f"/{name}?next_token={token}" for name in lists for token in tokens]
    return [
        *together([lambda body=body: attacker.call("POST", "/runs", body) for body in runs]),
        *together([lambda path=path: attacker.call("GET", path) for path in reads]),
    ]


def _random_json(rng: random.Random, depth: int) -> Any:  # noqa: ANN401 — any JSON
    kind = rng.choice(("list", "object", "text", "number", "none")) if depth < 70 else "none"
    match kind:
        case "list":
            return [_random_json(rng, depth + 1) for _ in range(rng.choice((0, 1, 1, 2)))]
        case "object":
            return {rng.choice(("message", "a", "\0", "é")): _random_json(rng, depth + 1) for _ in range(2)}
        case "text":
            return rng.choice(("", "x" * 10_000, "\0", "\ud83d", "\u202e", "'; DROP"))
        case "number":
            return rng.choice((0, -1, 2**63, 10**400, 1.5, 1e308))
        case _:
            return None


ATTACKS = (
    Attack("1", "schema bomb", schema_bomb),
    Attack("2, 5, 25", "hostile answers", hostile_answers),
    Attack("3, R1", "many dimensions", many_dimensions),
    Attack("4, 5", "full settings", full_settings),
    Attack("6, 15", "full runs", full_runs),
    Attack("R1, 21", "flood", flood),
    Attack("19, R4, fuzz", "odd requests", odd_requests),
)
