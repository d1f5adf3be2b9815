"""Experiments end to end, in one process: simulated answers, real budgets, events delivered twice."""

from collections import Counter
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from services.runs import wiring
from services.runs.datasets.domain.items import Item
from services.runs.datasets.operations.datasets import clear_removed
from services.runs.experiments.domain.experiment import ExperimentStatus
from services.runs.experiments.operations.scheduling import check_experiments
from services.runs.experiments.table import ExperimentTable, TrialTable
from services.runs.runs.table.listing import RunFilter
from shared.ids import new_id
from shared.tenancy.permissions import Role
from shared.times import utc_now
from tests.services.runs.conftest import World, know_tenant, know_version
from tests.services.runs.examples import AGENT_ID, NOW, TENANT
from tests.services.runs.experiments.bus import (
    EXPERIMENT,
    EXPERIMENTS,
    Bus,
    call,
    create,
    dataset_of,
    questions,
    results_of,
    start,
    state_of,
)
from tests.services.runs.workers import execute

USD = 1_000_000_000
LONG = [Item(f"q{number}", {"message": f"[[tokens 100]] {number}"}, "x") for number in range(30)]


def runs_of(world: World, experiment_id: str) -> list[Any]:
    """Return the runs of an experiment."""
    found, after = list[Any](), None
    while True:
        page, after = world.runs.listing.page(RunFilter(experiment_id=experiment_id), limit=100, after=after)
        found += page
        if after is None:
            return found


class TestRunExperiment:
    @pytest.mark.parametrize("times", [1, 2])
    def test_executes_each_trial_once_and_finds_the_worse_variant(self, world: World, times: int) -> None:
        experiment_id = create(dataset_of(world, *questions(20)), repetitions=2)
        start(experiment_id)
        bus = Bus(world, times=times)
        bus.deliver()
        state = state_of(experiment_id)
        assert (state["status"], state["progress"]["done"], state["progress"]["errors"]) == ("completed", 80, 0)
        runs = runs_of(world, experiment_id)
        assert len(runs) == 80
        assert len({run.trial.number for run in runs}) == 80
        assert state["progress"]["cost_nano_usd"] == sum(run.cost_nano_usd for run in runs)
        assert state["progress"]["tokens"] == sum(call.spent_tokens for run in runs for call in run.calls)
        [verdict] = results_of(experiment_id)["verdicts"]
        assert (verdict["variant"], verdict["verdict"], verdict["difference"]) == ("cut", "worse", -1.0)
        assert f"{experiment_id}:completed" in bus.delivered

    def test_has_results_that_a_recount_of_its_runs_confirms(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(10)))
        start(experiment_id)
        Bus(world).deliver()
        results = results_of(experiment_id, limit="100")
        by_run = {trial["run_id"]: trial for trial in results["trials"]}
        for run in runs_of(world, experiment_id):
            whole = world.runs.get(run.run_id)
            expected = float(whole.inputs["message"] in (whole.output or {})["message"])
            assert [score["value"] for score in by_run[run.run_id]["scores"]] == [expected]
        assert [one["mean"] for one in results["variants"]] == [1.0, 0.0]
        assert sum(one["cost_nano_usd"] for one in results["variants"]) == sum(
            run.cost_nano_usd for run in runs_of(world, experiment_id)
        )

    def test_finds_the_same_variant_equivalent(self, world: World) -> None:
        same = [{"name": name, "agent_id": AGENT_ID} for name in ("a", "b")]
        experiment_id = create(dataset_of(world, *questions(60)), variants=same)
        start(experiment_id)
        Bus(world).deliver()
        assert [one["verdict"] for one in results_of(experiment_id)["verdicts"]] == ["equivalent"]

    def test_stops_a_sequential_experiment_when_it_is_decided(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(120)), stopping="sequential", minimum_effect=0.3)
        start(experiment_id)
        Bus(world).deliver()
        state = state_of(experiment_id)
        assert (state["status"], state["reason"]) == ("stopped", "decided")
        assert state["progress"]["done"] < 240
        assert results_of(experiment_id)["verdicts"][0]["verdict"] == "worse"

    def test_counts_failed_runs_as_errors_and_not_as_wrong(self, world: World) -> None:
        items = [*questions(10), Item("broken", {"message": "[[error 400]]"}, "x")]
        experiment_id = create(dataset_of(world, *items))
        start(experiment_id)
        Bus(world).deliver()
        assert state_of(experiment_id)["progress"]["errors"] == 2
        results = results_of(experiment_id)
        assert [(one["mean"], one["errors"]) for one in results["variants"]] == [(1.0, 1), (0.0, 1)]
        assert results["verdicts"][0]["verdict"] == "inconclusive"

    def test_scores_requested_tools_and_ends_their_runs(self, world: World) -> None:
        tool = {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}
        version = know_version(world, 2, tools=[tool])
        variants = [{"name": name, "agent_id": AGENT_ID, "version": version} for name in ("a", "b")]
        item = Item("tool", {"message": '[[tool look {"at": 1}]]'}, [{"name": "look", "arguments": {"at": 1}}])
        scorers = [{"name": "tools", "type": "tool_calls"}]
        experiment_id = create(dataset_of(world, item), variants=variants, scorers=scorers)
        start(experiment_id)
        Bus(world).deliver()
        assert [one["mean"] for one in results_of(experiment_id)["variants"]] == [1.0, 1.0]
        assert Counter(run.status for run in runs_of(world, experiment_id)) == {"cancelled": 2}

    def test_interleaves_its_variants(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(30)), seed=3)
        start(experiment_id)
        Bus(world).deliver()
        trials = list(TrialTable(world.store, TENANT, experiment_id).all())
        pairs = [(trials[number].item, trials[number + 1].item) for number in range(0, 60, 2)]
        assert all(first == second for first, second in pairs)
        assert {trials[number].variant for number in range(0, 60, 2)} == {0, 1}
        assert [first for first, _ in pairs] != sorted(first for first, _ in pairs)


class TestBudget:
    @pytest.mark.parametrize("concurrency", [1, 4, 25])
    def test_is_never_passed(self, world: World, concurrency: int) -> None:
        version = know_version(world, 2, max_output_tokens=40)
        variants = [{"name": name, "agent_id": AGENT_ID, "version": version} for name in ("a", "b")]
        dataset_id = dataset_of(world, *(Item(f"q{n}", {"message": f"[[tokens 40]] {n}"}, "x") for n in range(30)))
        draft = create(dataset_id, variants=variants)
        bound = call("GET", EXPERIMENT, experiment_id=draft)[1]["experiment"]["estimate"]["max_cost_nano_usd"]
        budget = bound // 12
        limit = {"max_cost_usd": budget / USD, "max_concurrency": concurrency}
        experiment_id = create(dataset_id, variants=variants, **limit)
        start(experiment_id)
        bus = Bus(world)

        def is_kept() -> bool:
            progress = state_of(experiment_id)["progress"]
            assert progress["cost_nano_usd"] + progress["held_nano_usd"] <= budget
            return False

        bus.deliver(until=is_kept)
        state = state_of(experiment_id)
        assert (state["status"], state["reason"]) == ("stopped", "budget")
        assert state["progress"]["held_nano_usd"] == 0
        assert 5 < state["progress"]["done"] < 60
        assert sum(run.cost_nano_usd for run in runs_of(world, experiment_id)) <= budget

    def test_of_tokens_is_never_passed(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *LONG), max_tokens=5_500)
        start(experiment_id)
        Bus(world).deliver()
        state = state_of(experiment_id)
        assert (state["status"], state["reason"]) == ("stopped", "budget")
        assert 0 < state["progress"]["tokens"] <= 5_500

    def test_lets_no_answer_be_clamped(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *LONG), max_tokens=5_500)
        start(experiment_id)
        Bus(world).deliver()
        assert {run.limited_by for run in runs_of(world, experiment_id)} == {None}

    def test_of_the_month_stops_the_experiment(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_tokens_per_month=9_000)
        experiment_id = create(dataset_of(world, *questions(30)))
        start(experiment_id)
        Bus(world).deliver()
        state = state_of(experiment_id)
        assert (state["status"], state["reason"]) == ("stopped", "budget")
        assert {run.limited_by for run in runs_of(world, experiment_id)} <= {None}

    def test_needs_known_prices(self, world: World) -> None:
        version = know_version(world, 2, model="openai/unknown-model-x")
        variants = [{"name": name, "agent_id": AGENT_ID, "version": version} for name in ("a", "b")]
        experiment_id = create(dataset_of(world, *questions(2)), variants=variants, max_cost_usd=1)
        assert call("POST", f"{EXPERIMENT}/start", experiment_id=experiment_id)[0] == 422


class TestConcurrency:
    def test_is_bounded_by_its_maximum(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(30)), max_concurrency=3)
        start(experiment_id)
        bus = Bus(world)

        def is_kept() -> bool:
            progress = state_of(experiment_id)["progress"]
            assert progress["scheduled"] - progress["done"] <= 3
            return False

        bus.deliver(until=is_kept)

    def test_leaves_half_of_the_slots_to_other_runs(self, world: World) -> None:
        know_tenant(world.store, seq=2, max_concurrent_runs=8)
        ids = [create(dataset_of(world, *questions(30)), max_concurrency=100) for _ in range(2)]
        for experiment_id in ids:
            start(experiment_id)
        bus = Bus(world)

        def is_kept() -> bool:
            under_way = 0
            for experiment_id in ids:
                progress = state_of(experiment_id)["progress"]
                under_way += progress["scheduled"] - progress["done"]
            assert under_way <= 4
            return False

        bus.deliver(until=is_kept, max_events=150)


class TestStopExperiment:
    def test_cancels_the_runs_under_way_and_frees_their_budget(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(30)), max_cost_usd=100)
        start(experiment_id)
        bus = Bus(world)
        bus.deliver(max_events=20)
        status, answer = call("PATCH", EXPERIMENT, {"status": "stopped"}, experiment_id=experiment_id)
        assert (status, answer["experiment"]["reason"]) == (200, "user")
        bus.deliver()
        state = state_of(experiment_id)
        progress = state["progress"]
        assert (state["status"], progress["held_nano_usd"]) == ("stopped", 0)
        assert progress["scheduled"] == progress["done"] < 60
        assert all(run.status.final for run in runs_of(world, experiment_id))
        assert call("PATCH", EXPERIMENT, {"status": "stopped"}, experiment_id=experiment_id)[0] == 409

    def test_is_final(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(2)))
        start(experiment_id)
        assert call("POST", f"{EXPERIMENT}/start", experiment_id=experiment_id)[0] == 409
        assert call("DELETE", EXPERIMENT, experiment_id=experiment_id)[0] == 409
        Bus(world).deliver()
        assert call("DELETE", EXPERIMENT, experiment_id=experiment_id)[0] == 204
        assert call("GET", EXPERIMENT, experiment_id=experiment_id)[0] == 404
        assert list(TrialTable(world.store, TENANT, experiment_id).all()) == []

    def test_frees_a_place_for_another_experiment(self, world: World) -> None:
        dataset_id = dataset_of(world, *questions(1))
        ids = [create(dataset_id) for _ in range(11)]
        for experiment_id in ids[:10]:
            start(experiment_id)
        assert call("POST", f"{EXPERIMENT}/start", experiment_id=ids[10])[0] == 409
        Bus(world).deliver()
        assert ExperimentTable(world.store, TENANT).running() == 0
        start(ids[10])


class TestRecovery:
    def test_continues_after_lost_messages(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(10)), max_concurrency=4)
        start(experiment_id)
        bus = Bus(world)
        for lost in range(3):
            bus.deliver(max_events=len(bus.delivered) + 7 + lost)
            for key, _ in bus._pending():  # pyright: ignore[reportPrivateUsage]  # messages that are lost
                world.store.remove([key])
            later = utc_now() + timedelta(minutes=6 * (lost + 1))
            assert check_experiments(world.store, now=later).handled == 1
            # A run whose event is lost is queued again by the reaper of runs.
            for run in runs_of(world, experiment_id):
                if run.status == "queued":
                    execute(world, run)
        bus.deliver()
        assert state_of(experiment_id)["status"] == "completed"
        assert len(runs_of(world, experiment_id)) == 20

    def test_forgets_an_experiment_that_is_over(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(1)))
        start(experiment_id)
        Bus(world).deliver()
        later = utc_now() + timedelta(minutes=6)
        check_experiments(world.store, now=later)
        assert check_experiments(world.store, now=later + timedelta(days=1)).handled == 0

    def test_fails_when_its_dataset_is_gone(self, world: World) -> None:
        dataset_id = dataset_of(world, *questions(300))
        experiment_id = create(dataset_id)
        start(experiment_id)
        call("DELETE", "/v1/tenants/{tenant_id}/datasets/{dataset_id}", dataset_id=dataset_id)
        clear_removed(world.store, wiring.slice_datasets(), now=utc_now() + timedelta(hours=1))
        Bus(world).deliver()
        assert state_of(experiment_id)["status"] == "failed"


class TestDefinition:
    def test_is_estimated_before_the_start(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(200)), repetitions=3)
        estimate = call("GET", EXPERIMENT, experiment_id=experiment_id)[1]["experiment"]["estimate"]
        assert estimate["trials"] == 1_200
        assert estimate["max_cost_nano_usd"] > 0
        assert estimate["detectable_effect"] == pytest.approx(0.14, abs=0.01)

    @pytest.mark.parametrize(
        "changes",
        [
            {"repetitions": 21},
            {"variants": []},
            {"scorers": [{"name": "r", "type": "regex", "pattern": r"(a)\1"}]},
            {"scorers": [{"name": "r", "type": "regex"}]},
            {"scorers": [{"name": "r", "type": "exact"}, {"name": "r", "type": "exact"}]},
            {"confidence": 1},
            {"minimum_effect": 0},
            {"unknown": 1},
        ],
    )
    def test_that_cannot_be_carried_out_is_refused(self, world: World, changes: dict[str, Any]) -> None:
        variants = [{"name": name, "agent_id": AGENT_ID} for name in ("a", "b")]
        body = {
            "name": "X",
            "dataset_id": dataset_of(world, *questions(2)),
            "variants": variants,
            "scorers": [{"name": "exact", "type": "exact"}],
            "minimum_effect": 0.1,
        }
        assert call("POST", EXPERIMENTS, body | changes)[0] == 422

    def test_has_a_bounded_number_of_trials(self, world: World) -> None:
        dataset_id = dataset_of(world, *questions(600))
        variants = [{"name": name, "agent_id": AGENT_ID} for name in ("a", "b")]
        scorers = [{"name": "exact", "type": "exact"}]
        body = {"name": "X", "dataset_id": dataset_id, "variants": variants, "scorers": scorers, "minimum_effect": 0.1}
        assert call("POST", EXPERIMENTS, {**body, "repetitions": 17})[0] == 422

    def test_of_an_unknown_dataset_is_refused(self, world: World) -> None:
        variants = [{"name": name, "agent_id": AGENT_ID} for name in ("a", "b")]
        scorers = [{"name": "exact", "type": "exact"}]
        body = {"name": "X", "dataset_id": new_id("dst", NOW), "variants": variants, "scorers": scorers}
        assert call("POST", EXPERIMENTS, {**body, "minimum_effect": 0.1})[0] == 404
        assert world.store.owned.name == "RUNS"

    def test_is_changed_by_developers_with_the_feature(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(2)))
        assert call("GET", EXPERIMENT, experiment_id=experiment_id, role=Role.ANALYST)[0] == 200
        assert call("DELETE", EXPERIMENT, experiment_id=experiment_id, role=Role.ANALYST)[0] == 403
        know_tenant(world.store, seq=2, enabled_features=["agents"])
        assert call("POST", f"{EXPERIMENT}/start", experiment_id=experiment_id)[0] == 403


class TestRuns:
    def test_of_experiments_are_listed_only_when_asked_for(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(2)))
        start(experiment_id)
        Bus(world).deliver()
        runs = "/v1/tenants/{tenant_id}/runs"
        assert call("GET", runs)[1]["runs"] == []
        found = call("GET", runs, query={"experiment_id": experiment_id})[1]["runs"]
        assert {(run["source"], run["experiment_id"]) for run in found} == {("experiment", experiment_id)}
        assert len(found) == 4


class TestReports:
    def test_have_every_trial(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(10)))
        start(experiment_id)
        Bus(world).deliver()
        answers = {
            name: call("GET", f"{EXPERIMENT}/results", query={"format": name}, experiment_id=experiment_id)[1]
            for name in ("csv", "junit", "markdown")
        }
        assert len(answers["csv"].splitlines()) == 21
        suites = fromstring(answers["junit"])  # noqa: S314 — our own report
        assert len(suites.findall(".//testcase")) == 21
        assert len(suites.findall(".//testsuite[@name='cut']/testcase/failure")) == 10
        assert len(suites.findall(".//testsuite[@name='verdicts']/testcase/failure")) == 1
        assert "**worse**" in answers["markdown"]

    def test_page_their_trials(self, world: World) -> None:
        experiment_id = create(dataset_of(world, *questions(3)))
        start(experiment_id)
        Bus(world).deliver()
        first = results_of(experiment_id, limit="4")
        rest = results_of(experiment_id, limit="4", next_token=first["next_token"])
        assert [trial["trial"] for trial in first["trials"] + rest["trials"]] == list(range(6))
        assert rest["next_token"] is None
        assert ExperimentTable(world.store, TENANT).get(experiment_id).status is ExperimentStatus.COMPLETED
