"""Where a number comes from: a metric of CloudWatch with its dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from infra.names import Names
from shared.metrics import NAMESPACE, Metric


@dataclass(frozen=True, slots=True)
class Source:
    """One metric, of one thing."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str] = field(default_factory=dict[str, str])
    stat: str = "Sum"

    @classmethod
    def of(cls, metric: Metric, dimensions: Mapping[str, str], *, stat: str = "Sum") -> Self:
        """One of our own metrics.

        Raises:
            ValueError: it is not split by these dimensions.
        """
        if set(dimensions) != set(metric.dimensions):
            msg = f"{metric.name} is split by {metric.dimensions}, and not by {tuple(dimensions)}"
            raise ValueError(msg)
        return cls(NAMESPACE, metric.name, dimensions, stat)


def own(names: Names, service: str, **others: str) -> dict[str, str]:
    """The dimensions of a metric of our own."""
    return {"environment": names.environment, "service": service, **others}


def search(names: Names, metric: Metric, *, service: str | None = None, stat: str = "Sum") -> str:
    """The expression of a graph with one line for each combination of a metric's dimensions."""
    schema = ",".join((NAMESPACE, *metric.dimensions))
    wanted = f'MetricName="{metric.name}" environment="{names.environment}"'
    if service:
        wanted += f' service="{service}"'
    return f"SEARCH('{{{schema}}} {wanted}', '{stat}', 60)"
