"""The alarms as resources, which all notify one topic."""

from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.function import pascal
from infra.mesh import Mesh
from infra.monitoring.alarm import MINUTE_S, Alarm, alarms_of


class Alarms(Construct):
    """The alarms of a mesh.

    The context `repository`, a URL with a slash at its end, turns the runbook's paths into links.
    """

    def __init__(self, scope: Construct, mesh: Mesh) -> None:
        super().__init__(scope, "Alarms")
        self._topic = mesh.names.arn("sns", mesh.names.alerts_topic)
        self._base = str(self.node.try_get_context("repository") or "")
        for alarm in alarms_of(mesh.names, mesh.services):
            self._add(alarm)

    def _add(self, alarm: Alarm) -> None:
        source = alarm.source
        percentile = source.stat.startswith("p")
        cloudwatch.CfnAlarm(
            self,
            pascal(alarm.name),
            alarm_name=alarm.name,
            alarm_description=alarm.description(self._base),
            namespace=source.namespace,
            metric_name=source.metric,
            dimensions=[
                cloudwatch.CfnAlarm.DimensionProperty(name=name, value=value)
                for name, value in source.dimensions.items()
            ],
            statistic=None if percentile else source.stat,
            extended_statistic=source.stat if percentile else None,
            period=alarm.minutes * MINUTE_S,
            evaluation_periods=alarm.periods,
            threshold=alarm.threshold,
            comparison_operator="GreaterThanThreshold",
            treat_missing_data="breaching" if alarm.alarm_on_missing_data else "notBreaching",
            alarm_actions=[self._topic],
            ok_actions=[self._topic],
        )
