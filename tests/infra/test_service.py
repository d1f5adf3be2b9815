"""The stack of a service has its declared functions, queues, rules and routes."""

from collections import Counter

from tests.infra.sample_services import SAMPLES
from tests.infra.templates import Json, Templates, text_of

VARIABLES = {
    *("ENVIRONMENT", "ENTITIES_TABLE_NAME", "USAGE_TABLE_NAME", "TENANTS_TABLE_NAME", "ARTIFACTS_BUCKET_NAME"),
    *("EVENT_BUS_NAME", "USER_POOL_ID", "CORS_ORIGINS", "PROVIDERS_WITHOUT_KEY", "ALLOW_PRIVATE_BASE_URLS"),
    *("POWERTOOLS_SERVICE_NAME", "PYDANTIC_DISABLE_PLUGINS"),
}


class TestFunctions:
    def test_are_the_declared_ones(self, local: Templates) -> None:
        found = {one["FunctionName"] for one in local.resources("AWS::Lambda::Function")}
        declared = {f"ainexus-local-{service.name}-{one.name}" for service in SAMPLES for one in service.functions}
        assert found == declared | {"ainexus-local-api", "ainexus-local-authorizer", "ainexus-local-publisher"}

    def test_run_on_the_specified_runtime(self, local: Templates) -> None:
        found = local.resources("AWS::Lambda::Function")
        assert {(one["Runtime"], *one["Architectures"]) for one in found} == {("python3.13", "arm64")}

    def test_have_a_separate_role_and_log_group(self, local: Templates) -> None:
        names = {one["FunctionName"] for one in local.resources("AWS::Lambda::Function")}
        roles = Counter(text_of(one["Role"]) for one in local.resources("AWS::Lambda::Function", "Runs"))
        logs = {one["LogGroupName"]: one for one in local.resources("AWS::Logs::LogGroup")}
        assert set(roles.values()) == {1}
        assert {f"/aws/lambda/{name}" for name in names} < logs.keys()
        assert all(one["RetentionInDays"] for one in logs.values())

    def test_have_the_common_variables(self, local: Templates) -> None:
        for one in local.resources("AWS::Lambda::Function"):
            assert one["Environment"]["Variables"].keys() >= VARIABLES

    def test_have_variables_for_their_data_role_and_invoked_functions(self, local: Templates) -> None:
        variables = _function(local, "runs-api")["Environment"]["Variables"]
        assert variables["DATA_ROLE_ARN"].endswith(":role/ainexus-local-runs-api-data")
        assert variables["WORKER_FUNCTION_NAME"] == "ainexus-local-runs-worker"
        assert "DATA_ROLE_ARN" not in _function(local, "runs-reaper")["Environment"]["Variables"]

    def test_with_a_concurrency_limit_reserve_it_in_production_only(self, local: Templates, prod: Templates) -> None:
        assert _function(prod, "runs-api")["ReservedConcurrentExecutions"] == 200
        assert "ReservedConcurrentExecutions" not in _function(prod, "runs-worker")
        assert "ReservedConcurrentExecutions" not in _function(local, "runs-api")

    def test_have_variables_for_their_queues(self, local: Templates) -> None:
        variables = _function(local, "billing-webhook")["Environment"]["Variables"]
        queues = {one["Properties"]["QueueName"]: name for name, one in local.named("AWS::SQS::Queue")}
        assert variables["INBOX_QUEUE_URL"] == {"Ref": queues["ainexus-local-billing-inbox"]}

    def test_are_invoked_by_their_schedule(self, local: Templates) -> None:
        rule = local.one("AWS::Events::Rule", Name="ainexus-local-runs-reaper-schedule")
        assert rule["ScheduleExpression"] == "rate(1 minute)"

    def test_have_one_permission_for_the_api_each(self, local: Templates) -> None:
        permissions = Counter(
            (stack, text_of(one["Properties"]["FunctionName"]))
            for stack, template in local.stacks.items()
            for _, one in _resources_of(template, "AWS::Lambda::Permission")
            if one["Properties"]["Principal"] == "apigateway.amazonaws.com"
        )
        routed = [one for service in SAMPLES for one in service.functions if one.routes]
        assert set(permissions.values()) == {1}
        assert len(permissions) == len(routed) + len(("api", "authorizer"))


class TestQueues:
    def test_exist_for_each_consumer_and_its_control_events(self, local: Templates) -> None:
        consumers = {
            f"ainexus-local-{service.name}-{one.name}"
            for service in SAMPLES
            for one in service.functions
            if one.has_queue
        } | {"ainexus-local-tenants-consumer-control"}
        assert {one["QueueName"] for one in _queues(local) if "RedrivePolicy" in one} == consumers

    def test_for_control_events_have_their_own_rule_dead_letters_and_permissions(self, local: Templates) -> None:
        name = "ainexus-local-tenants-consumer"
        data, control = (local.one("AWS::Events::Rule", Name=rule) for rule in (name, f"{name}-control"))
        assert data["EventPattern"] == {"detail-type": ["usage.summarised.v1"]}
        assert control["EventPattern"] == {"detail-type": ["subscription.changed.v1"]}
        queues = {one["QueueName"] for one in _queues(local)}
        assert {f"{name}-control", f"{name}-control-dead-letters"} < queues
        sources = local.resources("AWS::Lambda::EventSourceMapping", "Tenants")
        assert len({text_of(one["EventSourceArn"]) for one in sources}) == 2
        consumed = {one["Resource"] for one in local.statements(name) if "sqs:ReceiveMessage" in one["Action"]}
        assert {arn.rpartition(":")[2] for arn in consumed} == {name, f"{name}-control"}

    def test_have_dead_letters_after_five_receives(self, local: Templates) -> None:
        for stack in local.stacks.values():
            queues = {name: one["Properties"] for name, one in _resources_of(stack, "AWS::SQS::Queue")}
            for queue in queues.values():
                if queue["QueueName"].endswith("-dead-letters"):
                    continue
                redrive = queue["RedrivePolicy"]
                letters = queues[redrive["deadLetterTargetArn"]["Fn::GetAtt"][0]]
                assert letters["QueueName"] == f"{queue['QueueName']}-dead-letters"
                assert redrive["maxReceiveCount"] == 5
                assert letters["RedriveAllowPolicy"]["redrivePermission"] == "byQueue"
                assert [arn.rpartition(":")[2] for arn in letters["RedriveAllowPolicy"]["sourceQueueArns"]] == [
                    queue["QueueName"]
                ]
                assert letters["MessageRetentionPeriod"] == 14 * 24 * 3600

    def test_have_a_visibility_timeout_above_the_function_timeout(self, local: Templates, prod: Templates) -> None:
        for templates, factor in ((local, 2), (prod, 6)):
            timeout = _function(templates, "runs-worker")["Timeout"]
            queue = templates.one("AWS::SQS::Queue", QueueName=f"ainexus-{templates.environment}-runs-worker")
            assert queue["VisibilityTimeout"] == factor * timeout

    def test_report_failures_per_message(self, local: Templates) -> None:
        found = local.resources("AWS::Lambda::EventSourceMapping", "Runs")
        assert [one["FunctionResponseTypes"] for one in found] == [["ReportBatchItemFailures"]]

    def test_have_no_rule_without_subscriptions(self, local: Templates) -> None:
        assert not [one for one in local.resources("AWS::Events::Rule") if one["Name"].endswith("billing-inbox")]

    def test_have_one_rule_with_the_declared_types(self, local: Templates) -> None:
        rule = local.one("AWS::Events::Rule", Name="ainexus-local-metering-consumer")
        assert rule["EventPattern"] == {"detail-type": ["run.completed.v1", "usage.recorded.v1"]}
        assert rule["EventBusName"] == "ainexus-local-events"
        assert len(rule["Targets"]) == 1
        assert rule["Targets"][0]["DeadLetterConfig"]


class TestRoutes:
    def test_define_each_path_part_once(self, local: Templates) -> None:
        path_parts = Counter(
            (text_of(one["ParentId"]).replace("AILabCore-local:ExportsOutput", ""), one["PathPart"])
            for one in local.resources("AWS::ApiGateway::Resource")
        )
        assert {path for path, times in path_parts.items() if times > 1} == set()

    def test_declared_routes_exist_and_are_authorized_unless_public(self, local: Templates) -> None:
        methods = [one for one in local.resources("AWS::ApiGateway::Method") if one["HttpMethod"] != "OPTIONS"]
        routes = [route for service in SAMPLES for route in service.routes]
        own = 2  # health and openapi.json
        assert len(methods) == len(routes) + own
        assert Counter(one["AuthorizationType"] for one in methods) == {
            "CUSTOM": len([route for route in routes if route.min_role]),
            "NONE": len([route for route in routes if not route.min_role]) + own,
        }

    def test_every_path_has_a_preflight_method(self, local: Templates) -> None:
        options = [one for one in local.resources("AWS::ApiGateway::Method") if one["HttpMethod"] == "OPTIONS"]
        assert len(options) == len(local.resources("AWS::ApiGateway::Resource"))
        headers = options[0]["Integration"]["IntegrationResponses"][0]["ResponseParameters"]
        assert headers["method.response.header.Access-Control-Allow-Headers"] == (
            "'Authorization,Content-Type,Idempotency-Key,If-Match,Last-Event-ID,Prefer,traceparent'"
        )


class TestDataRole:
    def test_trusts_only_its_own_function(self, local: Templates) -> None:
        own = {one["RoleName"]: name for name, one in _in_properties(local, "AWS::IAM::Role", "Runs")}
        for name in ("api", "worker"):
            (trust,) = local.role(f"ainexus-local-runs-{name}-data")["AssumeRolePolicyDocument"]["Statement"]
            assert trust["Principal"] == {"AWS": {"Fn::GetAtt": [own[f"ainexus-local-runs-{name}"], "Arn"]}}

    def test_exists_only_for_functions_with_tenant_access(self, local: Templates) -> None:
        roles = {one["RoleName"] for one in local.resources("AWS::IAM::Role") if "RoleName" in one}
        assert {name for name in roles if name.endswith("-data")} == {
            f"ainexus-local-{service.name}-{one.name}-data"
            for service in SAMPLES
            for one in service.functions
            if one.has_data_role
        }


def _function(templates: Templates, name: str) -> Json:
    return templates.one("AWS::Lambda::Function", FunctionName=f"ainexus-{templates.environment}-{name}")


def _in_properties(templates: Templates, kind: str, part: str) -> list[tuple[str, Json]]:
    return [(name, one["Properties"]) for name, one in templates.named(kind, part)]


def _queues(templates: Templates) -> list[Json]:
    return templates.resources("AWS::SQS::Queue")


def _resources_of(stack: Json, kind: str) -> list[tuple[str, Json]]:
    return [(name, one) for name, one in stack["Resources"].items() if one["Type"] == kind]
