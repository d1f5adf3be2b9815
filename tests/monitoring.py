"""Reading CloudWatch's two notations: metrics embedded in log lines, and the queries of Logs Insights.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html have them.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from shared.metrics import NAMESPACE

_SEARCH = re.compile(r"SEARCH\('\{(?P<schema>[^}]+)\} MetricName=\"(?P<name>\w+)\"(?P<wanted>[^']*)'")
_WANTED = re.compile(r'(\w+)="([^"]*)"')
_NO_FIELDS = re.compile(
    r'"[^"]*"|<[^>]*>|@\w+|\b(?:fields|filter|stats|sort|limit|by|as|like|and|or|asc|desc|ispresent|count|sum|max|pct|latest'
    r"|bin)\b|\b\d+\w*\b|[^\w\s]"
)


@dataclass(frozen=True)
class Sources:
    """Metrics of our own, each a name with the values of its dimensions."""

    seen: frozenset[tuple[str, frozenset[tuple[str, str]]]]

    @classmethod
    def seen_in(cls, lines: Iterable[Mapping[str, Any]]) -> Self:
        """Those that the lines have."""
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

    def have(self, metric: str, dimensions: Mapping[str, str]) -> bool:
        """Whether this very metric was seen."""
        return (metric, frozenset(dimensions.items())) in self.seen

    def are_found_by(self, expression: str) -> bool:
        """Whether a search of a graph finds any of them."""
        search = _SEARCH.match(expression)
        assert search, expression
        namespace, *schema = search["schema"].split(",")
        wanted = set(_WANTED.findall(search["wanted"]))
        return namespace == NAMESPACE and any(
            name == search["name"] and {by for by, _ in dimensions} == set(schema) and wanted <= dimensions
            for name, dimensions in self.seen
        )


def asked_fields(query: str) -> set[str]:
    """The fields of log lines that a query names; not those of CloudWatch's own, and not what it names itself."""
    named = set(re.findall(r"\bas (\w+)", query))
    return set(_NO_FIELDS.sub(" ", query).split()) - named
