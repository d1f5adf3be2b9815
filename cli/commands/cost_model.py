"""`cost-model`."""

from typing import TYPE_CHECKING

import click

from cli.output import Row, show, table
from cli.target import Target, for_target

if TYPE_CHECKING:
    from infra.costs import model

_COLUMNS = ("component", "what", "per_run", "nano_usd_each", "usd_per_million_runs")


@click.command("cost-model")
@for_target
def cost_model(target: Target) -> None:
    """Print the AWS costs of a million runs.

    They are counted calls times list prices, the same for every environment. docs/costs.md lists the assumptions.
    """
    from infra.costs import counted, model

    lines = model.cost_of_run(counted.read_measurement())
    rows = [row_of(line) for line in lines]
    total = model.total_usd(lines)
    data = {"region": model.prices()["region"], "lines": rows, "usd_per_million_runs": round(total, 2)}
    show(target, data, [*table(rows, _COLUMNS, empty=""), f"In all: ${total:.2f} per million runs."])


def row_of(line: "model.CostLine") -> Row:
    """Return the columns of a line of the cost model."""
    values = (line.component, line.unit, round(line.quantity, 3), line.nano_usd, round(line.usd_per_million, 2))
    return dict(zip(_COLUMNS, values, strict=True))
