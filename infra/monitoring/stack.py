"""AILabMonitoring: two dashboards and log queries, and alarms that notify the operator."""

import json
from collections.abc import Sequence

from aws_cdk import Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from infra.mesh import Mesh
from infra.monitoring.alarms import Alarms
from infra.monitoring.dashboards import business, operations
from infra.monitoring.queries import Queries
from infra.monitoring.subject import Subjects
from infra.monitoring.widget import Widget, place_graphs


class MonitoringStack(Stack):
    """The monitoring of a mesh."""

    def __init__(self, scope: Construct, mesh: Mesh, **options: object) -> None:
        super().__init__(scope, mesh.names.stack("monitoring"), **options)  # pyright: ignore[reportArgumentType] — Stack's own options
        self._names = mesh.names
        subjects = Subjects.of(mesh.names, mesh.services)
        self._dashboard("operations", operations(mesh.names, subjects))
        self._dashboard("business", business(mesh.names, subjects))
        if mesh.profile.alarms:
            Alarms(self, mesh)
            Queries(self, mesh, subjects=subjects)

    def _dashboard(self, subject: str, graphs: Sequence[Widget]) -> None:
        body = json.dumps(place_graphs(graphs))
        name = self._names.dashboard(subject)
        cloudwatch.CfnDashboard(self, subject.capitalize(), dashboard_name=name, dashboard_body=body)
