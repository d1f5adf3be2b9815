"""Experiments with variants whose system prompt is a stored prompt."""

from services.runs.datasets.domain.items import Item
from services.runs.runs.table.listing import RunFilter
from tests.services.runs.conftest import World, know_version
from tests.services.runs.examples import AGENT_ID
from tests.services.runs.experiments.bus import Bus, create, dataset_of, start, state_of
from tests.services.runs.prompts.test_prompts import PROMPT, know_prompt, know_template


def started(world: World, *items: Item) -> str:
    """Start an experiment whose first variant refers to the live version of a prompt, and return its id."""
    know_prompt(world)
    know_template(world, "Answer {{ who }} briefly.")
    version = know_version(world, 2, system_prompt={"prompt_id": PROMPT})
    variants = [
        {"name": "stored", "agent_id": AGENT_ID, "version": version},
        {"name": "text", "agent_id": AGENT_ID, "version": 1},
    ]
    experiment_id = create(dataset_of(world, *items), variants=variants)
    start(experiment_id)
    return experiment_id


def test_trials_are_pinned_to_the_prompt_that_was_live_at_the_start(world: World) -> None:
    inputs = [{"message": f"Question {number}", "variables": {"who": "me"}} for number in range(3)]
    # The variant with a text ignores them, so that both variants have the same items.
    experiment_id = started(world, *(Item(f"q{number}", one, "x") for number, one in enumerate(inputs)))
    know_prompt(world, seq=2, live=2)
    know_template(world, "Another one for {{ whom }}", version=2)
    Bus(world).deliver()
    runs, _ = world.runs.listing.page(RunFilter(experiment_id=experiment_id), limit=100, after=None)
    assert state_of(experiment_id)["status"] == "completed"
    assert {(run.version, run.prompt.version if run.prompt else None) for run in runs} == {(2, 1), (1, None)}
    assert {run.status.value for run in runs} == {"completed"}


def test_an_item_without_a_value_of_a_variable_ends_the_experiment(world: World) -> None:
    experiment_id = started(world, Item("q1", {"message": "Question"}, "x"))
    Bus(world).deliver()
    assert state_of(experiment_id)["status"] == "failed"
    assert world.runs.listing.page(RunFilter(experiment_id=experiment_id), limit=100, after=None) == ([], None)
