"""Every provider in every case, as a whole run: its state, attempts and calls, what it used, and what is left."""

from dataclasses import dataclass
from typing import Any

import pytest

from services.runs.domain.agent import VersionCopy
from services.runs.domain.run import Outcome, Run, Status
from services.runs.gateways.model import Stop
from services.runs.gateways.models import ProviderModels
from services.runs.operations.steering import hand_in_tool_outputs
from services.runs.table import agents
from shared.meters import Meter, Meters
from tests.services.runs.conftest import World, know_tenant
from tests.services.runs.providers.server import ProviderServer
from tests.services.runs.providers.speakers import SPEAKERS, Speaker, answered
from tests.services.runs.providers.test_table import AROUND_30_S, CALLS, FAILURES, FIRST, SUCCESSES, Failure, Success
from tests.services.runs.providers.wire import Answer
from tests.services.runs.runs import AGENT_ID, TENANT
from tests.services.runs.work import LATER, access, execute, planner_of, submit

RETRIED = {name: case for name, case in FAILURES.items() if case.retry}
WEATHER = {"name": "weather", "parameters": {"type": "object"}}
NUMBER = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
WHOLE = {Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 5}
ONCE = {Meter.REQUESTS: 1, Meter.COMPUTE_MS: 0}
AGAIN = {Meter.COMPUTE_MS: 0}
MONTH = "2026-11"
LIMIT = 1_000_000
REQUESTS = 100


@dataclass(frozen=True)
class Stage:
    """A tenant whose agent calls the server here."""

    world: World
    server: ProviderServer
    models: ProviderModels
    speaker: Speaker

    def submit(self, *, timeout_s: float = 5, **config: Any) -> Run:  # noqa: ANN401 — any field of a config
        """A run of an agent at that provider."""
        api = {"api": self.speaker.api} if self.speaker.provider == "openai" else {}
        document = {
            "provider": self.speaker.provider,
            "model": "m",
            "base_url": self.server.url + self.speaker.base,
            "timeout_s": timeout_s,
            **api,
            **config,
        }
        stored = self.world.documents.write(TENANT, f"agents/{AGENT_ID}/versions/2.json", document)
        agents.keep_version(self.world.store, TENANT, VersionCopy(AGENT_ID, 2, stored))
        return submit(self.world, version=2)

    def execute(self, run: Run, *, slept: list[float] | None = None) -> Run:
        """The run after a worker had it."""
        return execute(self.world, run, self.models, slept=slept)

    def left(self) -> tuple[int, int, int]:
        """What the budget of the month has left, and still holds: requests, tokens, open calls."""
        budget = self.world.budgets.find(TENANT, MONTH)
        assert budget
        return budget.requests_left, budget.tokens_left, len(budget.open)

    def counted(self, meters: Meters) -> Meters:
        """Without what this provider cannot count."""
        unknown = set[Meter]() if self.speaker.counts_reasoning else {Meter.TOKENS_REASONING}
        return {meter: meters[meter] for meter in meters.keys() - unknown}


@pytest.fixture
def stage(request: pytest.FixtureRequest, world: World, server: ProviderServer, models: ProviderModels) -> Stage:
    """With one of the providers."""
    know_tenant(world.store, seq=2, max_tokens_per_month=LIMIT, max_requests_per_month=REQUESTS)
    return Stage(world, server, models, request.param)


EACH = pytest.mark.parametrize("stage", SPEAKERS, ids=str, indirect=True)


def used_by_failure(stage: Stage, run: Run, case: Failure) -> dict[Meter, int]:
    """What the ledger must hold of a call that failed like this."""
    counts: Meters = FIRST if case.counts and stage.speaker.counts_first else {}
    assert run.open_call
    said = sum(counts.values())
    uncertain = {} if case.usage_known else {Meter.TOKENS_UNCERTAIN: run.open_call.bound_tokens - said}
    return {**counts, **uncertain, **ONCE}


def pause_after(case: Failure) -> float:
    """What the provider asks for, but 20 s at most; our own where it asks for nothing."""
    if case.retry_after_s is None:
        return 0.5  # full jitter, when chance gives the longest
    return 20 if case.retry_after_s is AROUND_30_S else case.retry_after_s


def left_after(*calls: Meters) -> tuple[int, int, int]:
    """What one run with these calls must leave of the month: what may have been used is gone, as what was."""
    spend = (Meter.TOKENS_IN, Meter.TOKENS_OUT, Meter.TOKENS_UNCERTAIN)
    return REQUESTS - 1, LIMIT - sum(call.get(meter, 0) for call in calls for meter in spend), 0


def error_of(run: Run) -> str:
    assert run.error
    return run.error.code


@EACH
class TestAnswers:
    @pytest.mark.parametrize("case", SUCCESSES.values(), ids=SUCCESSES)
    def test_bring_the_run_where_they_say(self, stage: Stage, case: Success) -> None:
        stage.server.say(answered(stage.speaker, case.answer))
        done = stage.execute(stage.submit(tools=[WEATHER]))
        expected = {
            Stop.TOOL_CALLS: (Status.REQUIRES_ACTION, Outcome.REQUIRES_ACTION, None),
            Stop.REFUSED: (Status.FAILED, Outcome.FAILED, None),
        }.get(case.answer.stop, (Status.COMPLETED, Outcome.COMPLETED, {"message": case.text}))
        [attempt] = done.attempts
        assert (done.status, attempt.outcome, done.output) == expected
        assert done.tool_calls == case.calls
        assert [(call.provider, call.model, call.simulated) for call in attempt.calls] == [
            (stage.speaker.provider, "m", False)
        ]
        assert attempt.calls[0].meters == {**stage.counted(case.meters), **ONCE}
        assert attempt.usage_certain
        assert stage.left() == left_after(case.meters)


@EACH
class TestFailures:
    @pytest.mark.parametrize("case", FAILURES.values(), ids=FAILURES)
    def test_are_tried_again_or_end_the_run_and_are_counted_to_the_token(self, stage: Stage, case: Failure) -> None:
        slept: list[float] = []
        stage.server.say(case.reply(stage.speaker), *([answered(stage.speaker)] if case.retry else []))
        run = stage.submit(timeout_s=min(case.timeout_s, 1))
        done = stage.execute(run, slept=slept)
        [attempt] = done.attempts
        first, *more = attempt.calls
        assert (first.status, first.error_code) == (Outcome.FAILED, case.code)
        assert first.meters == used_by_failure(stage, run, case)
        assert (first.usage_certain, attempt.usage_certain) == (case.usage_known, case.usage_known)
        assert slept == ([pause_after(case)] if case.retry else [])
        assert stage.left() == left_after(used_by_failure(stage, run, case), *([WHOLE] if case.retry else []))
        if case.retry:
            assert (done.status, done.output, done.error) == (Status.COMPLETED, {"message": "Hello, world"}, None)
            assert [(call.number, call.status, call.meters) for call in more] == [
                (2, Outcome.COMPLETED, {**WHOLE, **AGAIN})
            ]
        else:
            assert (done.status, done.output, error_of(done), more) == (Status.FAILED, None, case.code, [])

    @pytest.mark.parametrize("name", ["429", "529", "truncated", "cut in the middle", "corrupt chunk"])
    def test_that_do_not_pass_end_the_run_after_three_calls(self, stage: Stage, name: str) -> None:
        case = RETRIED[name]
        stage.server.say(*[case.reply(stage.speaker)] * 3)
        run = stage.submit()
        done = stage.execute(run)
        assert (done.status, error_of(done), done.output) == (Status.FAILED, case.code, None)
        assert [call.status for call in done.calls] == [Outcome.FAILED] * 3
        once = used_by_failure(stage, run, case)
        assert done.usage == {meter: 3 * count for meter, count in once.items()} | ONCE
        assert done.attempts[0].usage_certain == case.usage_known
        assert stage.left() == left_after(once, once, once)


@EACH
class TestTools:
    def test_several_at_once_and_two_rounds_are_one_request(self, stage: Stage) -> None:
        asks = answered(stage.speaker, Answer((), CALLS, Stop.TOOL_CALLS))
        stage.server.say(asks, asks, answered(stage.speaker))
        run = stage.submit(tools=[WEATHER])
        for handed_in in range(2):
            run = stage.execute(run)
            assert (run.status, run.tool_calls) == (Status.REQUIRES_ACTION, CALLS)
            assert stage.left() == left_after(*[WHOLE] * (handed_in + 1))
            outputs = {call.id: "rain" for call in CALLS}
            world = stage.world
            run = hand_in_tool_outputs(
                world.runs, world.documents, planner_of(world), access(world), run.run_id, outputs, now=LATER
            )
        done = stage.execute(run)
        assert (done.status, done.output) == (Status.COMPLETED, {"message": "Hello, world"})
        outcomes = [attempt.outcome for attempt in done.attempts]
        assert outcomes == [Outcome.REQUIRES_ACTION, Outcome.REQUIRES_ACTION, Outcome.COMPLETED]
        assert done.usage == {meter: 3 * count for meter, count in WHOLE.items()} | ONCE
        assert stage.left() == left_after(WHOLE, WHOLE, WHOLE)


@EACH
class TestStructuredOutput:
    def test_is_data(self, stage: Stage) -> None:
        stage.server.say(answered(stage.speaker, Answer(('{"n":', " 4}"))))
        done = stage.execute(stage.submit(response_schema=NUMBER))
        assert (done.status, done.output) == (Status.COMPLETED, {"message": '{"n": 4}', "data": {"n": 4}})
        assert done.usage == {**WHOLE, **ONCE}
        assert stage.left() == left_after(WHOLE)

    def test_is_repaired_once_and_both_calls_are_counted(self, stage: Stage) -> None:
        stage.server.say(answered(stage.speaker), answered(stage.speaker, Answer(('{"n": 4}',))))
        done = stage.execute(stage.submit(response_schema=NUMBER))
        assert (done.status, done.output) == (Status.COMPLETED, {"message": '{"n": 4}', "data": {"n": 4}})
        assert [call.meters for call in done.calls] == [{**WHOLE, **ONCE}, {**WHOLE, **AGAIN}]
        assert done.attempts[0].usage_certain
        assert stage.left() == left_after(WHOLE, WHOLE)

    def test_that_does_not_fit_twice_fails_the_run(self, stage: Stage) -> None:
        stage.server.say(answered(stage.speaker), answered(stage.speaker))
        done = stage.execute(stage.submit(response_schema=NUMBER))
        assert (done.status, error_of(done), len(done.calls)) == (Status.FAILED, "OutputInvalid", 2)
        assert done.usage == {meter: 2 * count for meter, count in WHOLE.items()} | ONCE
        assert stage.left() == left_after(WHOLE, WHOLE)
