"""The stack AILabMonitoring: dashboards in every environment, alarms and queries where an operator is on call."""

import json
import re
from typing import Any

from infra.monitoring.alarm import RUNBOOK
from infra.monitoring.queries import QUERIES
from shared.metrics import METRICS, NAMESPACE
from tests.architecture.source import ROOT
from tests.infra.templates import Templates

SCHEMA = re.compile(r"SEARCH\('\{(?P<schema>[^}]+)\} MetricName=\"(?P<name>\w+)\"")
DECLARED = {(metric.name, frozenset(metric.dimensions)) for metric in METRICS}


def _lines(templates: Templates) -> list[Any]:
    bodies = [json.loads(one["DashboardBody"]) for one in templates.resources("AWS::CloudWatch::Dashboard")]
    return [line for body in bodies for widget in body["widgets"] for line in widget["properties"]["metrics"]]


class TestDashboards:
    def test_have_the_specified_names(self, local: Templates) -> None:
        names = {one["DashboardName"] for one in local.resources("AWS::CloudWatch::Dashboard")}
        assert names == {"ainexus-local-operations", "ainexus-local-business"}

    def test_show_every_function_and_every_queue(self, local: Templates) -> None:
        displayed = {line[3] for line in _lines(local) if len(line) > 3}
        functions = {one["FunctionName"] for one in local.resources("AWS::Lambda::Function")}
        queues = {one["QueueName"] for one in local.resources("AWS::SQS::Queue")}
        assert functions | queues <= displayed

    def test_show_every_metric_of_our_own_by_its_dimensions(self, local: Templates) -> None:
        found = [SCHEMA.match(line[0]["expression"]) for line in _lines(local) if isinstance(line[0], dict)]
        displayed = {(one["name"], frozenset(one["schema"].split(",")) - {NAMESPACE}) for one in found if one}
        assert displayed == DECLARED


class TestAlarms:
    def test_watch_every_dead_letter_queue_and_every_function(self, dev: Templates) -> None:
        watched = {one["Dimensions"][0]["Value"] for one in dev.resources("AWS::CloudWatch::Alarm")}
        queues = {one["QueueName"] for one in dev.resources("AWS::SQS::Queue")}
        functions = {one["FunctionName"] for one in dev.resources("AWS::Lambda::Function")}
        assert queues | functions <= watched

    def test_notify_the_alerts_topic(self, dev: Templates) -> None:
        topics = {arn for one in dev.resources("AWS::CloudWatch::Alarm") for arn in one["AlarmActions"]}
        assert topics == {"arn:aws:sns:us-east-2:111111111111:AILabCore-dev-AlertsTopic"}

    def test_use_declared_metrics_with_their_dimensions(self, dev: Templates) -> None:
        own = [one for one in dev.resources("AWS::CloudWatch::Alarm") if one["Namespace"] == NAMESPACE]
        assert own
        assert {(one["MetricName"], frozenset(by["Name"] for by in one["Dimensions"])) for one in own} <= DECLARED


class TestMetrics:
    def test_have_no_tenant_dimension(self) -> None:
        assert not any("tenant" in name for metric in METRICS for name in metric.dimensions)


class TestQueries:
    def test_are_saved_in_the_console(self, dev: Templates) -> None:
        names = {one["Name"] for one in dev.resources("AWS::Logs::QueryDefinition")}
        assert names == {f"ainexus-dev/{name}" for name in QUERIES}


class TestRunbook:
    def test_has_a_section_for_each_alarm_and_an_alarm_for_each_section(self, real: Templates) -> None:
        alarms = real.resources("AWS::CloudWatch::Alarm")
        named = {one["AlarmDescription"].partition(f"{RUNBOOK}#")[2] for one in alarms}
        sections = set(re.findall(r"^## (.+)$", (ROOT / RUNBOOK).read_text(), re.MULTILINE))
        assert named == sections
