"""The dependencies of the operations on running experiments."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from services.runs.agents.domain import Configs
from services.runs.agents.table import AgentCopies
from services.runs.budgets.table.budgets import BudgetTable
from services.runs.datasets.domain.dataset import DatasetVersion
from services.runs.datasets.table import DatasetVersionTable
from services.runs.execution.operations.planning import Planner
from services.runs.experiments.domain.experiment import Experiment
from services.runs.experiments.gateway import TrialItems
from services.runs.experiments.table import ExperimentTable, TrialTable
from services.runs.runs.table.runs import RunTable
from shared.storage.store import Store
from shared.tenancy.context import TenantAccess


@dataclass(frozen=True, slots=True)
class Laboratory:
    """The tables and documents of one tenant, and the clock."""

    store: Store
    access: TenantAccess
    agents: AgentCopies
    runs: RunTable
    configs: Configs
    planner: Planner
    items: TrialItems
    clock: Callable[[], datetime]

    @property
    def tenant_id(self) -> str:
        """The tenant."""
        return self.access.tenant_id

    @property
    def budgets(self) -> BudgetTable:
        """The month's budgets of the tenant."""
        return self.planner.budgets

    @property
    def experiments(self) -> ExperimentTable:
        """The experiments of the tenant."""
        return ExperimentTable(self.store, self.tenant_id)

    def trials(self, experiment_id: str) -> TrialTable:
        """Return the trials of an experiment."""
        return TrialTable(self.store, self.tenant_id, experiment_id)

    def version_of(self, experiment: Experiment) -> DatasetVersion:
        """Return the pinned version of the dataset.

        Raises:
            DatasetVersionNotFound: the dataset was deleted.
        """
        versions = DatasetVersionTable(self.store, self.tenant_id, experiment.definition.dataset_id)
        return versions.get_number(experiment.version or 0)
