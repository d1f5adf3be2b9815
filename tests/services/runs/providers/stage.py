"""A tenant whose agent calls the local server."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.runs.agents.domain import VersionCopy
from services.runs.agents.table import VersionCopyTable
from services.runs.execution.operations.tool_outputs import submit_tool_outputs
from services.runs.providers.gateway.models import ProviderModels
from services.runs.runs.domain.run import Run
from shared.meters import Meter, Meters
from tests.services.runs.conftest import World
from tests.services.runs.examples import AGENT_ID, TENANT
from tests.services.runs.providers.adapters import Adapter
from tests.services.runs.providers.server import ProviderServer
from tests.services.runs.workers import LATER, access, execute, planner_of, submit

MONTH = "2026-11"
LIMIT = 1_000_000
REQUESTS = 100
ONCE = {Meter.REQUESTS: 1, Meter.COMPUTE_MS: 0}
AGAIN = {Meter.COMPUTE_MS: 0}


@dataclass(frozen=True)
class Stage:
    """A tenant whose agent calls the local server."""

    world: World
    server: ProviderServer
    models: ProviderModels
    adapter: Adapter

    def submit(
        self,
        *,
        timeout_s: float = 5,
        parameters: Mapping[str, Any] = {},
        inputs: Mapping[str, Any] | None = None,
        **config: Any,  # noqa: ANN401 — any field of a config
    ) -> Run:
        """Submit a run with these parameters and inputs of an agent with that provider."""
        api = {"api": self.adapter.api} if self.adapter.provider == "openai" else {}
        document = {
            "provider": self.adapter.provider,
            "model": "m",
            "base_url": self.server.url + self.adapter.base,
            "timeout_s": timeout_s,
            **api,
            **config,
        }
        stored = self.world.documents.write(TENANT, f"agents/{AGENT_ID}/versions/2.json", document)
        VersionCopyTable(self.world.store, TENANT).keep(VersionCopy(AGENT_ID, 2, stored))
        return submit(self.world, version=2, parameters=parameters, inputs=inputs)

    def execute(self, run: Run, *, slept: list[float] | None = None) -> Run:
        """Execute the run and return it."""
        return execute(self.world, run, self.models, slept=slept)

    def continue_with(self, run: Run, output: str = "rain") -> Run:
        """Submit this output for each tool of the run, and execute the run."""
        return self.execute(self.submit_outputs(run, output))

    def submit_outputs(self, run: Run, output: str) -> Run:
        """Submit this output for each tool of the run."""
        outputs = {call.id: output for call in run.tool_calls}
        world = self.world
        return submit_tool_outputs(
            world.runs, world.documents, planner_of(world), access(world), run.run_id, outputs, now=LATER
        )

    def left(self) -> tuple[int, int, int]:
        """Return the remaining requests and tokens of the month, and the number of open calls."""
        budget = self.world.budgets.find(MONTH)
        assert budget
        return budget.requests_left, budget.tokens_left, len(budget.open)

    def counted(self, meters: Meters) -> Meters:
        """Omit the meters that this provider does not count."""
        unknown = set[Meter]() if self.adapter.counts_reasoning else {Meter.TOKENS_REASONING}
        return {meter: meters[meter] for meter in meters.keys() - unknown}


def left_after(*calls: Meters) -> tuple[int, int, int]:
    """Return the expected remainder of the month. Uncertain usage is deducted like certain usage."""
    spend = (Meter.TOKENS_IN, Meter.TOKENS_OUT, Meter.TOKENS_UNCERTAIN)
    return REQUESTS - 1, LIMIT - sum(call.get(meter, 0) for call in calls for meter in spend), 0


def error_of(run: Run) -> str:
    assert run.error
    return run.error.code
