"""The stack AILabCore: names, keys, users, gateway responses and outputs."""

import json

import pytest

from tests.infra.templates import ACCOUNT, Templates, text_of

OUTPUTS = {
    *("UserPoolId", "UserPoolClientId", "ApiEndpoint", "EntitiesTableName", "UsageTableName"),
    *("TenantsTableName", "ArtifactsBucketName", "EventBusName", "AlertsTopicArn"),
}


class TestOutputs:
    def test_have_the_specified_names(self, local: Templates) -> None:
        outputs = local.stack("Core")["Outputs"]
        assert {name for name in outputs if not name.startswith("Exports")} == OUTPUTS

    def test_endpoint_ends_with_the_stage(self, local: Templates) -> None:
        assert "/local" in text_of(local.stack("Core")["Outputs"]["ApiEndpoint"]["Value"]["Fn::Join"][1][-1])

    def test_belong_to_core_only(self, local: Templates) -> None:
        assert {name for name, stack in local.stacks.items() if stack.get("Outputs")} == {"AILabCore-local"}


class TestStacks:
    def test_have_the_specified_names(self, local: Templates) -> None:
        parts = ("Core", "Tenants", "Agents", "Runs", "Metering", "Billing", "Edge", "Monitoring")
        assert set(local.stacks) == {f"AILab{part}-local" for part in parts}


class TestTables:
    @pytest.mark.parametrize("table", ["tenants", "entities", "usage"])
    def test_have_keys_indexes_stream_and_ttl(self, local: Templates, table: str) -> None:
        found = local.one("AWS::DynamoDB::Table", TableName=f"ainexus-local-{table}")
        assert _keys(found["KeySchema"]) == ["PK", "SK"]
        assert {index["IndexName"]: _keys(index["KeySchema"]) for index in found["GlobalSecondaryIndexes"]} == {
            "list": ["list_pk", "list_sk"],
            "due": ["due_pk", "due_sk"],
        }
        assert {index["Projection"]["ProjectionType"] for index in found["GlobalSecondaryIndexes"]} == {"KEYS_ONLY"}
        assert found["StreamSpecification"]["StreamViewType"] == "NEW_IMAGE"
        assert found["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}
        assert found["BillingMode"] == "PAY_PER_REQUEST"

    def test_are_retained_in_production_only(self, local: Templates, prod: Templates) -> None:
        assert {found["DeletionPolicy"] for found in prod.resources_with_attributes("AWS::DynamoDB::Table")} == {
            "Retain"
        }
        assert {found["DeletionPolicy"] for found in local.resources_with_attributes("AWS::DynamoDB::Table")} == {
            "Delete"
        }


class TestNames:
    def test_of_bucket_bus_topic_and_logs(self, local: Templates) -> None:
        assert local.one("AWS::S3::Bucket")["BucketName"] == f"ainexus-local-artifacts-{ACCOUNT}"
        assert local.one("AWS::Events::EventBus")["Name"] == "ainexus-local-events"
        assert local.one("AWS::SNS::Topic")["TopicName"] == "AILabCore-local-AlertsTopic"
        assert local.one("AWS::Logs::LogGroup", LogGroupName="/aws/apigateway/ainexus-local-api")

    def test_of_secrets_which_are_empty(self, local: Templates) -> None:
        found = {one["Name"]: one["SecretString"] for one in local.resources("AWS::SecretsManager::Secret")}
        assert found == {
            "ainexus-local/openai/key": "{}",
            "ainexus-local/anthropic/key": "{}",
            "ainexus-local/stripe/secret": "{}",
        }


class TestUsers:
    def test_self_registration_is_disabled(self, prod: Templates) -> None:
        assert prod.one("AWS::Cognito::UserPool")["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True

    def test_tenant_attribute_is_immutable(self, local: Templates) -> None:
        schema = local.one("AWS::Cognito::UserPool")["Schema"]
        mutable = {one["Name"]: one["Mutable"] for one in schema}
        assert {name for name in mutable if not mutable[name]} == {"tenant_id"}
        assert {"role", "plan", "features"} <= mutable.keys()

    def test_client_cannot_write_custom_attributes(self, local: Templates) -> None:
        client = local.one("AWS::Cognito::UserPoolClient")
        assert not [name for name in client["WriteAttributes"] if name.startswith("custom:")]
        # An empty list would let it write every standard attribute.
        assert sorted(client["WriteAttributes"]) == ["family_name", "given_name"]
        assert {f"custom:{name}" for name in ("tenant_id", "role", "plan", "features")} < {*client["ReadAttributes"]}
        assert client["GenerateSecret"] is False
        assert (client["IdTokenValidity"], client["TokenValidityUnits"]["IdToken"]) == (15, "minutes")

    def test_client_may_write_every_required_attribute(self, local: Templates) -> None:
        # "Required attributes in a user pool are always writable", so one that is not listed is writable all the same.
        # https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html
        schema = local.one("AWS::Cognito::UserPool")["Schema"]
        required = {one["Name"] for one in schema if one.get("Required")}
        assert required <= {*local.one("AWS::Cognito::UserPoolClient")["WriteAttributes"]}

    def test_password_sign_in_is_disabled_in_production(self, dev: Templates, prod: Templates) -> None:
        flows = {one.environment: one.one("AWS::Cognito::UserPoolClient")["ExplicitAuthFlows"] for one in (dev, prod)}
        assert sorted(flows["prod"]) == ["ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_SRP_AUTH"]
        assert set(flows["dev"]) - set(flows["prod"]) == {"ALLOW_USER_PASSWORD_AUTH"}


class TestGatewayResponses:
    def test_have_the_common_error_body_and_cors_headers(self, local: Templates) -> None:
        found = local.resources("AWS::ApiGateway::GatewayResponse")
        assert len(found) == 21
        for one in found:
            body = json.loads(one["ResponseTemplates"]["application/json"])
            assert list(body) == ["error", "message", "requestId"]
            assert one["ResponseParameters"]["gatewayresponse.header.Access-Control-Allow-Origin"] == "'*'"

    @pytest.mark.parametrize(
        ("kind", "status", "error"),
        [
            ("UNAUTHORIZED", "401", "Unauthorized"),
            ("EXPIRED_TOKEN", "401", "Unauthorized"),
            ("MISSING_AUTHENTICATION_TOKEN", "404", "NotFound"),
            ("REQUEST_TOO_LARGE", "413", "PayloadTooLarge"),
            ("THROTTLED", "429", "TooManyRequests"),
            ("INTEGRATION_TIMEOUT", "503", "DependencyUnavailable"),
        ],
    )
    def test_have_the_documented_status_and_error(self, local: Templates, kind: str, status: str, error: str) -> None:
        found = local.one("AWS::ApiGateway::GatewayResponse", ResponseType=kind)
        assert found["StatusCode"] == status
        assert json.loads(found["ResponseTemplates"]["application/json"])["error"] == error


class TestPublisher:
    def test_receives_new_outbox_items_of_all_tables(self, local: Templates) -> None:
        mappings = local.resources("AWS::Lambda::EventSourceMapping", "Core")
        assert len(mappings) == 3
        expected = {"eventName": ["INSERT"], "dynamodb": {"Keys": {"SK": {"S": [{"prefix": "OUTBOX#"}]}}}}
        for mapping in mappings:
            assert [json.loads(one["Pattern"]) for one in mapping["FilterCriteria"]["Filters"]] == [expected]
            assert mapping["StartingPosition"] == "TRIM_HORIZON"
            assert mapping["ParallelizationFactor"] == 10
            assert mapping["BatchSize"] == 100

    def test_sweeps_every_minute(self, local: Templates) -> None:
        rule = local.one("AWS::Events::Rule", "Core")
        assert rule["ScheduleExpression"] == "rate(1 minute)"

    def test_deletes_only_outbox_keys(self, local: Templates) -> None:
        writing = [one for one in local.statements("ainexus-local-publisher") if "dynamodb:DeleteItem" in one["Action"]]
        keys = {key for one in writing for key in one["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]}
        slices = ("TENANTS", "BILLING", "AGENTS", "RUNS", "USAGE")
        assert keys == {f"TENANT#*#{name}#OUTBOX" for name in slices}


def _keys(schema: list[dict[str, str]]) -> list[str]:
    return [key["AttributeName"] for key in sorted(schema, key=lambda key: key["KeyType"])]
