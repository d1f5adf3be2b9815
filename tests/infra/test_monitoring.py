"""AILabMonitoring: dashboards everywhere, alarms where somebody is called."""

import json

from tests.infra.templates import Templates


class TestDashboards:
    def test_are_named_as_promised(self, local: Templates) -> None:
        names = {one["DashboardName"] for one in local.resources("AWS::CloudWatch::Dashboard")}
        assert names == {"ainexus-local-operations", "ainexus-local-business"}

    def test_show_every_function_and_every_queue(self, local: Templates) -> None:
        body = local.one("AWS::CloudWatch::Dashboard", DashboardName="ainexus-local-operations")["DashboardBody"]
        shown = {metric[3] for widget in json.loads(body)["widgets"] for metric in widget["properties"]["metrics"]}
        functions = {one["FunctionName"] for one in local.resources("AWS::Lambda::Function")}
        queues = {one["QueueName"] for one in local.resources("AWS::SQS::Queue")}
        assert functions | queues <= shown


class TestAlarms:
    def test_watch_every_dead_letter_queue_and_every_function(self, dev: Templates) -> None:
        alarms = dev.resources("AWS::CloudWatch::Alarm")
        watched = {one["Dimensions"][0]["Value"] for one in alarms}
        letters = {one["QueueName"] for one in dev.resources("AWS::SQS::Queue") if "RedrivePolicy" not in one}
        functions = {one["FunctionName"] for one in dev.resources("AWS::Lambda::Function")}
        assert watched == letters | functions

    def test_call_the_one_topic(self, dev: Templates) -> None:
        called = {arn for one in dev.resources("AWS::CloudWatch::Alarm") for arn in one["AlarmActions"]}
        assert called == {"arn:aws:sns:us-east-2:111111111111:AILabCore-dev-AlertsTopic"}
