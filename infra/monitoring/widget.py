"""Graphs of a dashboard, as CloudWatch's JSON."""

from collections.abc import Sequence
from typing import Any

from infra.monitoring.source import MetricSource, search
from infra.names import Names
from shared.metrics import Metric

Widget = dict[str, Any]
Line = list[Any]

_WIDTH, _HEIGHT, _COLUMNS = 12, 6, 2


def line(source: MetricSource) -> Line:
    """One line of a graph, labeled with its resource."""
    dimensions = [part for pair in source.dimensions.items() for part in pair]
    label = [source.metric, *source.dimensions.values()][-1]
    return [source.namespace, source.metric, *dimensions, {"stat": source.stat, "label": label}]


def graph(names: Names, title: str, lines: Sequence[Line]) -> Widget:
    """Return a graph over time."""
    properties = {"title": title, "region": names.region, "view": "timeSeries", "period": 60, "metrics": [*lines]}
    return {"type": "metric", "width": _WIDTH, "height": _HEIGHT, "properties": properties}


def search_graph(names: Names, title: str, *metrics: Metric, service: str | None = None, stat: str = "Sum") -> Widget:
    """Return a graph of our own metrics, with a line for each combination of their dimensions."""
    lines = [[{"expression": search(names, metric, service=service, stat=stat)}] for metric in metrics]
    return graph(names, title, lines)


def place_graphs(graphs: Sequence[Widget]) -> dict[str, list[Widget]]:
    """Return the body of a dashboard with two graphs per row."""
    return {
        "widgets": [
            {**found, "x": index % _COLUMNS * _WIDTH, "y": index // _COLUMNS * _HEIGHT}
            for index, found in enumerate(graphs)
        ]
    }
