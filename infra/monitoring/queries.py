"""Saved queries of Logs Insights, in the folder of the environment.

Each names what is to be replaced in angle brackets.
"""

from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.function import pascal
from infra.mesh import Mesh
from infra.monitoring.subject import Subjects
from infra.names import PRODUCT

QUERIES = {
    "run history": """
fields @timestamp, service, message, status, state, attempt, provider, model, error_code
| filter run_id = "<run_id>" or @message like "<run_id>"
| sort @timestamp asc
""",
    "all of a trace": """
fields @timestamp, service, message, route, queue, run_id, tenant_id
| filter trace_id = "<trace_id>" or @message like "<trace_id>"
| sort @timestamp asc
""",
    "cost of a trace": """
filter trace_id = "<trace_id>" and message = "call ended"
| stats sum(CostNanoUsd) / 1000000000 as usd, sum(TokensIn) as tokens_in, sum(TokensOut) as tokens_out
  by run_id, provider, model
""",
    "errors by service": """
filter level = "ERROR" or level = "WARNING"
| stats count(*) as lines, latest(@timestamp) as last by service, level, message, error
| sort lines desc
""",
    "failed requests": """
fields @timestamp, service, method, route, status, request_id, tenant_id
| filter message = "answered" and status >= 500
| sort @timestamp desc
| limit 100
""",
    "slow requests": """
fields @timestamp, service, method, route, status, Latency as ms, request_id, trace_id
| filter message = "answered" and route_class != "wait"
| sort ms desc
| limit 50
""",
    "what a tenant does": """
fields @timestamp, service, message, method, route, status, run_id, request_id
| filter tenant_id = "<tenant_id>"
| sort @timestamp desc
| limit 500
""",
    "dead-letter causes": """
fields @timestamp, service, message_id, tries, error, reason
| filter message = "message failed"
| sort @timestamp desc
| limit 100
""",
    "queues that wait": """
filter message = "consumed"
| stats max(QueueAge) as oldest_ms, sum(Messages) as messages, sum(FailedMessages) as failed
  by queue, bin(5m)
""",
    "runs by final status": """
filter message = "run ended"
| stats count(*) as runs, pct(RunDuration, 95) as p95_ms by state, plan, error_code
| sort runs desc
""",
    "budget refusals": """
filter message = "budget refused"
| stats count(*) as refusals by tenant_id, plan, error
| sort refusals desc
""",
    "cold starts": """
filter ispresent(ColdStarts)
| stats sum(ColdStarts) as containers by service, @log
| sort containers desc
""",
}
"""The queries by their titles."""


class Queries(Construct):
    """The saved queries, each over the logs of all functions."""

    def __init__(self, scope: Construct, mesh: Mesh, *, subjects: Subjects) -> None:
        super().__init__(scope, "Queries")
        groups = [mesh.names.logs(function) for function in subjects.functions]
        for name, text in QUERIES.items():
            logs.CfnQueryDefinition(
                self,
                pascal(name.replace(" ", "-")),
                name=f"{PRODUCT}-{mesh.names.environment}/{name}",
                query_string=text.strip(),
                log_group_names=groups,
            )
