"""AILabMonitoring: two dashboards, and alarms where somebody is called."""

import json
from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.mesh import Mesh
from infra.monitoring.alarms import Alarms
from infra.monitoring.subject import Subjects
from infra.monitoring.widget import Widget, graph, metric, placed
from shared.declaration import Table


class MonitoringStack(Stack):
    """What is seen of the mesh from outside."""

    def __init__(self, scope: Construct, mesh: Mesh, **options: object) -> None:
        super().__init__(scope, mesh.names.stack("monitoring"), **options)  # pyright: ignore[reportArgumentType] — Stack's own options
        self._names = mesh.names
        subjects = Subjects.of(mesh)
        self._dashboard("operations", self._operations(subjects))
        self._dashboard("business", self._business(subjects))
        if mesh.profile.alarms:
            Alarms(self, mesh, subjects=subjects)

    def _dashboard(self, subject: str, graphs: Sequence[Widget]) -> None:
        body = json.dumps(placed(graphs))
        name = self._names.dashboard(subject)
        cloudwatch.CfnDashboard(self, subject.capitalize(), dashboard_name=name, dashboard_body=body)

    def _operations(self, subjects: Subjects) -> list[Widget]:
        api = ("AWS/ApiGateway", "ApiName", self._names.api)
        return [
            self._graph("API errors", *((api[0], name, *api[1:]) for name in ("4XXError", "5XXError"))),
            self._graph("API latency, 95 of 100 (ms)", (api[0], "Latency", *api[1:]), stat="p95"),
            self._functions("Errors", subjects.functions),
            self._functions("Throttles", subjects.functions),
            self._functions("Duration", subjects.functions, stat="p95"),
            self._queues("ApproximateAgeOfOldestMessage", subjects.queues),
            self._queues("ApproximateNumberOfMessagesVisible", subjects.dead_letters),
        ]

    def _business(self, subjects: Subjects) -> list[Widget]:
        events = [("AWS/Events", "MatchedEvents", "RuleName", queue) for queue in subjects.queues]
        tables = [("AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", self._names.table(one)) for one in Table]
        return [
            self._functions("Invocations", subjects.http),
            self._graph("Events, by who hears of them", *events),
            self._graph("Written to the tables (units)", *tables),
        ]

    def _functions(self, name: str, functions: Sequence[str], *, stat: str = "Sum") -> Widget:
        return self._graph(name, *(("AWS/Lambda", name, "FunctionName", one) for one in functions), stat=stat)

    def _queues(self, name: str, queues: Sequence[str]) -> Widget:
        return self._graph(name, *(("AWS/SQS", name, "QueueName", one) for one in queues), stat="Maximum")

    def _graph(self, title: str, *metrics: tuple[str, str, str, str], stat: str = "Sum") -> Widget:
        return graph(self._names, title, [metric(*one, stat=stat) for one in metrics])
