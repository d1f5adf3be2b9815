"""Parsers of CloudWatch's embedded metrics, metric searches and Logs Insights queries.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html specify the formats.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from shared.metrics import NAMESPACE

_SEARCH = re.compile(r"SEARCH\('\{(?P<schema>[^}]+)\} MetricName=\"(?P<name>\w+)\"(?P<values>[^']*)'")
_DIMENSION = re.compile(r'(\w+)="([^"]*)"')
_NO_FIELDS = re.compile(
    r'"[^"]*"|<[^>]*>|@\w+|\b(?:fields|filter|stats|sort|limit|by|as|like|and|or|asc|desc|ispresent|count|sum|max|pct|latest'
    r"|bin)\b|\b\d+\w*\b|[^\w\s]"
)


@dataclass(frozen=True)
class PublishedMetrics:
    """The published custom metrics, each a name with the values of its dimensions."""

    metrics: frozenset[tuple[str, frozenset[tuple[str, str]]]]

    @classmethod
    def from_log_lines(cls, lines: Iterable[Mapping[str, Any]]) -> Self:
        """Return the metrics that are embedded in these log lines."""
        return cls(
            frozenset(
                (metric["Name"], frozenset((name, line[name]) for name in dimensions))
                for line in lines
                for directive in line.get("_aws", {}).get("CloudWatchMetrics", ())
                for dimensions in directive["Dimensions"]
                for metric in directive["Metrics"]
                if directive["Namespace"] == NAMESPACE and metric["Name"] in line
            )
        )

    def contains(self, metric: str, dimensions: Mapping[str, str]) -> bool:
        """Return whether the metric was published with exactly these dimensions."""
        return (metric, frozenset(dimensions.items())) in self.metrics

    def match_search(self, expression: str) -> bool:
        """Return whether the search expression of a graph matches any of them."""
        search = _SEARCH.match(expression)
        assert search, expression
        namespace, *schema = search["schema"].split(",")
        dimension_values = set(_DIMENSION.findall(search["values"]))
        return namespace == NAMESPACE and any(
            name == search["name"]
            and {dimension for dimension, _ in dimensions} == set(schema)
            and dimension_values <= dimensions
            for name, dimensions in self.metrics
        )


def fields_in_query(query: str) -> set[str]:
    """Return the log fields in a query, without those of CloudWatch and those that the query defines."""
    named = set(re.findall(r"\bas (\w+)", query))
    return set(_NO_FIELDS.sub(" ", query).split()) - named
