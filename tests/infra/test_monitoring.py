"""AILabMonitoring: dashboards everywhere, alarms and queries where somebody is called."""

import json
import re
from typing import Any

from infra.monitoring.alarm import RUNBOOK
from infra.monitoring.queries import QUERIES
from shared.metrics import METRICS, NAMESPACE
from tests.architecture.source import ROOT
from tests.infra.templates import Templates

SCHEMA = re.compile(r"SEARCH\('\{(?P<schema>[^}]+)\} MetricName=\"(?P<name>\w+)\"")
OWN = {(metric.name, frozenset(metric.dimensions)) for metric in METRICS}


def _lines(templates: Templates) -> list[Any]:
    bodies = [json.loads(one["DashboardBody"]) for one in templates.resources("AWS::CloudWatch::Dashboard")]
    return [line for body in bodies for widget in body["widgets"] for line in widget["properties"]["metrics"]]


class TestDashboards:
    def test_are_named_as_promised(self, local: Templates) -> None:
        names = {one["DashboardName"] for one in local.resources("AWS::CloudWatch::Dashboard")}
        assert names == {"ainexus-local-operations", "ainexus-local-business"}

    def test_show_every_function_and_every_queue(self, local: Templates) -> None:
        shown = {line[3] for line in _lines(local) if len(line) > 3}
        functions = {one["FunctionName"] for one in local.resources("AWS::Lambda::Function")}
        queues = {one["QueueName"] for one in local.resources("AWS::SQS::Queue")}
        assert functions | queues <= shown

    def test_show_every_metric_of_our_own_by_its_dimensions(self, local: Templates) -> None:
        found = [SCHEMA.match(line[0]["expression"]) for line in _lines(local) if isinstance(line[0], dict)]
        shown = {(one["name"], frozenset(one["schema"].split(",")) - {NAMESPACE}) for one in found if one}
        assert shown == OWN


class TestAlarms:
    def test_watch_every_dead_letter_queue_and_every_function(self, dev: Templates) -> None:
        watched = {one["Dimensions"][0]["Value"] for one in dev.resources("AWS::CloudWatch::Alarm")}
        queues = {one["QueueName"] for one in dev.resources("AWS::SQS::Queue")}
        functions = {one["FunctionName"] for one in dev.resources("AWS::Lambda::Function")}
        assert queues | functions <= watched

    def test_call_the_one_topic(self, dev: Templates) -> None:
        called = {arn for one in dev.resources("AWS::CloudWatch::Alarm") for arn in one["AlarmActions"]}
        assert called == {"arn:aws:sns:us-east-2:111111111111:AILabCore-dev-AlertsTopic"}

    def test_on_metrics_of_our_own_name_them_with_their_dimensions(self, dev: Templates) -> None:
        own = [one for one in dev.resources("AWS::CloudWatch::Alarm") if one["Namespace"] == NAMESPACE]
        assert own
        assert {(one["MetricName"], frozenset(by["Name"] for by in one["Dimensions"])) for one in own} <= OWN


class TestMetrics:
    def test_are_never_split_by_tenant(self) -> None:
        assert not any("tenant" in name for metric in METRICS for name in metric.dimensions)


class TestQueries:
    def test_are_kept_where_somebody_looks(self, dev: Templates) -> None:
        names = {one["Name"] for one in dev.resources("AWS::Logs::QueryDefinition")}
        assert names == {f"ainexus-dev/{name}" for name in QUERIES}


class TestRunbook:
    def test_has_a_section_for_each_alarm_and_an_alarm_for_each_section(self, real: Templates) -> None:
        alarms = real.resources("AWS::CloudWatch::Alarm")
        named = {one["AlarmDescription"].partition(f"{RUNBOOK}#")[2] for one in alarms}
        sections = set(re.findall(r"^## (.+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE))
        assert named == sections
