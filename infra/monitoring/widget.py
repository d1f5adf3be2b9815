"""Graphs of a dashboard, as the JSON that CloudWatch reads."""

from collections.abc import Sequence
from typing import Any

from infra.monitoring.source import Source, search
from infra.names import Names
from shared.metrics import Metric

Widget = dict[str, Any]
Line = list[Any]

_WIDTH, _HEIGHT, _COLUMNS = 12, 6, 2


def line(source: Source) -> Line:
    """One line of a graph, named by what it is of."""
    dimensions = [part for pair in source.dimensions.items() for part in pair]
    label = [source.metric, *source.dimensions.values()][-1]
    return [source.namespace, source.metric, *dimensions, {"stat": source.stat, "label": label}]


def graph(names: Names, title: str, lines: Sequence[Line]) -> Widget:
    """A graph over time."""
    properties = {"title": title, "region": names.region, "view": "timeSeries", "period": 60, "metrics": [*lines]}
    return {"type": "metric", "width": _WIDTH, "height": _HEIGHT, "properties": properties}


def searched(names: Names, title: str, *metrics: Metric, service: str | None = None, stat: str = "Sum") -> Widget:
    """A graph of metrics of our own, with a line for each combination of their dimensions."""
    lines = [[{"expression": search(names, metric, service=service, stat=stat)}] for metric in metrics]
    return graph(names, title, lines)


def placed(graphs: Sequence[Widget]) -> dict[str, list[Widget]]:
    """The body of a dashboard: two graphs a row."""
    return {
        "widgets": [
            {**found, "x": index % _COLUMNS * _WIDTH, "y": index // _COLUMNS * _HEIGHT}
            for index, found in enumerate(graphs)
        ]
    }
