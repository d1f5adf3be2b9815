"""The API function, except for streams."""

from services.runs import wiring
from services.runs.budgets import api as budgets
from services.runs.datasets import api as datasets
from services.runs.deletion import api as deletion
from services.runs.execution import api as execution
from services.runs.experiments import api as experiments
from services.runs.history import api as history
from services.runs.runs import api as runs
from shared.http.app import HttpApp

handler = HttpApp(
    runs.router,
    budgets.router,
    deletion.router,
    history.router,
    execution.router,
    datasets.router,
    experiments.router,
    access=wiring.access,
    store=wiring.tenant_store,
)
