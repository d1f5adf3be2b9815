"""The source of a number: a metric of CloudWatch with its dimensions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from infra.names import Names
from shared.metrics import NAMESPACE, Metric


@dataclass(frozen=True, slots=True)
class MetricSource:
    """One metric of one resource."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str] = field(default_factory=dict[str, str])
    stat: str = "Sum"

    @classmethod
    def of(cls, metric: Metric, dimensions: Mapping[str, str], *, stat: str = "Sum") -> Self:
        """Return one of our own metrics.

        Raises:
            ValueError: it is not split by these dimensions.
        """
        if set(dimensions) != set(metric.dimensions):
            msg = f"{metric.name} is split by {metric.dimensions}, and not by {tuple(dimensions)}"
            raise ValueError(msg)
        return cls(NAMESPACE, metric.name, dimensions, stat)


def own(names: Names, service: str, **others: str) -> dict[str, str]:
    """Return the dimensions of one of our own metrics."""
    return {"environment": names.environment, "service": service, **others}


def search(names: Names, metric: Metric, *, service: str | None = None, stat: str = "Sum") -> str:
    """Return the expression of a graph with one line for each combination of a metric's dimensions."""
    schema = ",".join((NAMESPACE, *metric.dimensions))
    terms = f'MetricName="{metric.name}" environment="{names.environment}"'
    if service:
        terms += f' service="{service}"'
    return f"SEARCH('{{{schema}}} {terms}', '{stat}', 60)"
