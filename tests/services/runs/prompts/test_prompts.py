"""Runs of agents whose system prompt is a stored prompt."""

from datetime import timedelta
from itertools import count, permutations
from typing import Any

import pytest

from services.runs.errors import (
    PromptOfAgentDeleted,
    PromptOfAgentNotFound,
    PromptTooLarge,
    UnknownRunVariables,
    VariablesMissing,
)
from services.runs.functions import consumer
from services.runs.prompts.domain import PromptCopy, PromptVersionCopy
from services.runs.prompts.table import PromptCopies
from services.runs.providers.domain.model import StreamEnd, TextDelta
from services.runs.runs.domain.run import Run, Status
from shared.document_ref import DocumentRef
from shared.errors import InvalidRequest
from shared.events.agents import PromptAliasMoved, PromptCreated, PromptDeleted, PromptVersionPublished
from shared.events.envelope import Event, EventData, new_event
from shared.ids import new_id
from shared.meters import Meter
from tests.messages import batch
from tests.services.runs.conftest import World, know_version
from tests.services.runs.examples import NOW, TENANT
from tests.services.runs.workers import ScriptedModel, execute, submit

PROMPT = new_id("prm", NOW - timedelta(days=1))
VERSIONS = count(2)
ANSWER = [[TextDelta("Hi"), StreamEnd({Meter.TOKENS_IN: 3, Meter.TOKENS_OUT: 1})]]


def know_prompt(world: World, *, seq: int = 1, live: int = 1, deleted: bool = False) -> None:
    """Store the copy of a prompt."""
    copy = PromptCopy(PROMPT, seq, live, live, deleted=deleted, received_at=NOW - timedelta(hours=1))
    PromptCopies(world.store).keep_prompt(TENANT, copy)


def know_template(world: World, template: str, *, version: int = 1) -> None:
    """Store a template and the copy of its version."""
    path = f"agents/prompts/{PROMPT}/versions/{version}.json"
    document = world.documents.write(TENANT, path, {"template": template})
    PromptCopies(world.store).keep_version(TENANT, PromptVersionCopy(PROMPT, version, document))


def submitted(world: World, values: dict[str, str] | None = None, **reference: Any) -> Run:  # noqa: ANN401 — any JSON
    """Submit a run of a new version of the agent, which refers to the prompt."""
    version = know_version(world, next(VERSIONS), system_prompt={"prompt_id": PROMPT, **reference})
    inputs = {"message": "Hello"} if values is None else {"message": "Hello", "variables": values}
    return submit(world, version=version, inputs=inputs)


def sent_prompt(world: World, run: Run) -> str:
    """Execute the run, and return the system prompt that the model received."""
    model = ScriptedModel(ANSWER)
    assert execute(world, run, model).status is Status.COMPLETED
    [request] = model.requests
    return next(message.content for message in request.messages if message.role == "system")


class TestSubmit:
    def test_pins_the_live_version_at_submission(self, world: World) -> None:
        know_prompt(world, live=1)
        know_template(world, "One for {{ who }}")
        know_template(world, "Two for {{ who }}", version=2)
        run = submitted(world, {"who": "Ann"})
        know_prompt(world, seq=2, live=2)
        assert run.prompt is not None
        assert (run.prompt.prompt_id, run.prompt.version) == (PROMPT, 1)
        assert sent_prompt(world, run) == "One for Ann"
        assert sent_prompt(world, submitted(world, {"who": "Ann"})) == "Two for Ann"

    def test_runs_the_version_of_the_reference(self, world: World) -> None:
        know_prompt(world, live=2)
        know_template(world, "One")
        know_template(world, "Two", version=2)
        assert sent_prompt(world, submitted(world, version=1)) == "One"

    def test_values_of_the_run_take_precedence(self, world: World) -> None:
        know_prompt(world)
        know_template(world, "{{a}}{{b}}")
        run = submitted(world, {"b": "run"}, variables={"a": "agent ", "b": "agent"})
        assert sent_prompt(world, run) == "agent run"

    def test_ignores_values_of_the_agent_that_a_newer_version_does_not_use(self, world: World) -> None:
        know_prompt(world)
        know_template(world, "None")
        assert sent_prompt(world, submitted(world, variables={"old": "x"})) == "None"

    def test_reserves_the_rendered_prompt(self, world: World) -> None:
        know_prompt(world)
        know_template(world, "{{a}}")
        small, large = (submitted(world, {"a": "x" * size}).open_call for size in (10, 5_010))
        assert small is not None
        assert large is not None
        assert large.bound_tokens - small.bound_tokens == 5_000


class TestRefuse:
    @pytest.mark.parametrize(
        ("variables", "error", "fields"),
        [
            (None, VariablesMissing, ["inputs.variables.a", "inputs.variables.b"]),
            ({"a": "1"}, VariablesMissing, ["inputs.variables.b"]),
            ({"a": "1", "b": "2", "c": "3"}, UnknownRunVariables, ["inputs.variables.c"]),
            ({"a": "x" * 600_000, "b": "x" * 600_000}, PromptTooLarge, ["inputs.variables"]),
        ],
        ids=range(4),
    )
    def test_names_each_variable(
        self, world: World, variables: dict[str, str] | None, error: type[InvalidRequest], fields: list[str]
    ) -> None:
        know_prompt(world)
        know_template(world, "{{a}}{{b}}")
        with pytest.raises(error) as caught:
            submitted(world, variables)
        assert [detail.field for detail in caught.value.details] == fields

    def test_variables_of_a_text_are_unknown(self, world: World) -> None:
        with pytest.raises(UnknownRunVariables):
            submit(world, inputs={"message": "Hello", "variables": {"a": "1"}})

    def test_text_is_no_template(self, world: World) -> None:
        version = know_version(world, 3, system_prompt="Use {{braces}}")
        assert sent_prompt(world, submit(world, version=version)) == "Use {{braces}}"

    def test_a_deleted_prompt(self, world: World) -> None:
        know_prompt(world)
        know_template(world, "One")
        accepted = submitted(world)
        know_prompt(world, seq=2, deleted=True)
        with pytest.raises(PromptOfAgentDeleted):
            submitted(world)
        assert sent_prompt(world, accepted) == "One"

    def test_an_unknown_prompt_and_version(self, world: World) -> None:
        with pytest.raises(PromptOfAgentNotFound):
            submitted(world)
        know_prompt(world, live=3)
        with pytest.raises(PromptOfAgentNotFound):
            submitted(world, version=2)


class TestEvents:
    @staticmethod
    def event(data: EventData, *, seq: int) -> Event[Any]:
        return new_event(data, event_id=f"{data.TYPE}:{seq}", tenant_id=TENANT, subject=PROMPT, seq=seq, at=NOW)

    def test_converge_in_any_order(self, world: World) -> None:
        state: dict[str, Any] = {"prompt_id": PROMPT, "latest_version": 2}
        happened = [
            self.event(PromptCreated(**state, live_version=1), seq=1),
            self.event(PromptAliasMoved(**state, live_version=2), seq=2),
            self.event(PromptDeleted(prompt_id=PROMPT), seq=3),
        ]
        for number, order in enumerate(permutations(happened)):
            tenant_id = f"tenant-{number}"
            moved = [event.model_copy(update={"tenant_id": tenant_id}) for event in (*order, *order)]
            assert consumer.handler(batch(*moved)) == {"batchItemFailures": []}
            known = PromptCopies(world.store).find_prompt(tenant_id, PROMPT)
            assert known is not None
            assert known.deleted

    def test_of_a_version_name_its_template(self, world: World) -> None:
        payload = PromptVersionPublished(prompt_id=PROMPT, version=2, template_key="tenants/a/b", template_sha256="c")
        assert consumer.handler(batch(self.event(payload, seq=1))) == {"batchItemFailures": []}
        known = PromptCopies(world.store).find_version(TENANT, PROMPT, 2)
        assert known == PromptVersionCopy(PROMPT, 2, DocumentRef("tenants/a/b", "c"))
