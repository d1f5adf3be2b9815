"""Alarms: something lies in dead letters, or a function fails."""

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.function import pascal
from infra.mesh import Mesh
from infra.monitoring.subject import Subjects

_PERIOD_S = 300


class Alarms(Construct):
    """The alarms of a mesh; all go to the one topic."""

    def __init__(self, scope: Construct, mesh: Mesh, *, subjects: Subjects) -> None:
        super().__init__(scope, "Alarms")
        self._topic = mesh.names.arn("sns", mesh.names.alerts_topic)
        for queue in subjects.dead_letters:
            self._above_zero(queue, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", queue, stat="Maximum")
        for function in subjects.alarming:
            self._above_zero(f"{function}-errors", "AWS/Lambda", "Errors", "FunctionName", function, stat="Sum")

    def _above_zero(self, name: str, namespace: str, metric: str, dimension: str, of: str, *, stat: str) -> None:
        cloudwatch.CfnAlarm(
            self,
            pascal(name),
            alarm_name=name,
            namespace=namespace,
            metric_name=metric,
            dimensions=[cloudwatch.CfnAlarm.DimensionProperty(name=dimension, value=of)],
            statistic=stat,
            period=_PERIOD_S,
            evaluation_periods=1,
            threshold=0,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="notBreaching",
            alarm_actions=[self._topic],
            ok_actions=[self._topic],
        )
