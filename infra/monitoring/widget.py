"""Graphs of a dashboard, as the JSON that CloudWatch reads."""

from collections.abc import Sequence
from typing import Any

from infra.names import Names

Widget = dict[str, Any]
Metric = list[str | dict[str, str]]

_WIDTH, _HEIGHT, _COLUMNS = 12, 6, 2


def metric(namespace: str, name: str, dimension: str, of: str, *, stat: str = "Sum") -> Metric:
    """One line of a graph, of one thing."""
    return [namespace, name, dimension, of, {"stat": stat, "label": of}]


def graph(names: Names, title: str, metrics: Sequence[Metric]) -> Widget:
    """A graph over time."""
    properties = {"title": title, "region": names.region, "view": "timeSeries", "period": 60, "metrics": [*metrics]}
    return {"type": "metric", "width": _WIDTH, "height": _HEIGHT, "properties": properties}


def placed(graphs: Sequence[Widget]) -> dict[str, list[Widget]]:
    """The body of a dashboard: two graphs a row."""
    return {
        "widgets": [
            {**found, "x": index % _COLUMNS * _WIDTH, "y": index // _COLUMNS * _HEIGHT}
            for index, found in enumerate(graphs)
        ]
    }
