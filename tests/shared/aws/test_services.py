"""The lean clients of STS, S3 and Secrets Manager send the same requests and return the same results as botocore."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from botocore.exceptions import ClientError

from shared.aws.clients import ClientSettings
from shared.aws.services import Objects, Secrets, Tokens
from tests.shared.aws.server import KEYS, ScriptedResponse, Server, botocore_client, start_server

ASSUME_ROLE_ARGUMENTS: dict[str, Any] = {
    "RoleArn": "arn:aws:iam::123456789012:role/ainexus-test-runs-data",
    "RoleSessionName": "tenant-acme",
    "Tags": [{"Key": "tenant_id", "Value": "acme & söhne"}, {"Key": "other", "Value": "b"}],
}
ASSUME_ROLE_RESPONSE = b"""<?xml version="1.0"?>
<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult>
    <AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/data/x</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIAEXAMPLE</AccessKeyId>
      <SecretAccessKey>a/b+c&amp;d</SecretAccessKey>
      <SessionToken>token==</SessionToken>
      <Expiration>2026-11-27T10:11:12Z</Expiration>
    </Credentials>
  </AssumeRoleResult>
  <ResponseMetadata><RequestId>c6104cbe</RequestId></ResponseMetadata>
</AssumeRoleResponse>
"""
ACCESS_DENIED_RESPONSE = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not &lt;you&gt;.</Message></Error>
  <RequestId>c6104cbe</RequestId>
</ErrorResponse>
"""
NO_SUCH_KEY_RESPONSE = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><RequestId>4442587F</RequestId></Error>
"""
OBJECT_KEYS = ["tenants/acme/agents/agt_1/versions/1.json", "a b+c=%2F~é/ü.json", "..%2e/#?&;"]


def objects_client(server: Server) -> Objects:
    return Objects(lambda _: server.caller("s3"), lambda: pytest.fail("botocore is used"), by_path=True)


def error_of(call: Any, **arguments: Any) -> Any:  # noqa: ANN401 — what botocore raises
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    payload: dict[str, Any] = {**caught.value.response.get("Error", {})}
    return {name: payload[name] for name in ("Code", "Message")}


class TestTokens:
    def test_equal_those_of_botocore(self) -> None:
        with (
            start_server(ScriptedResponse(ASSUME_ROLE_RESPONSE)) as server,
            botocore_client(server.url, "sts") as client,
        ):
            theirs = client.assume_role(**ASSUME_ROLE_ARGUMENTS)
            ours = Tokens(server.caller("sts")).assume_role(**ASSUME_ROLE_ARGUMENTS)
        assert ours["Credentials"] == theirs["Credentials"]
        (_, theirs_sent, theirs_body), (_, sent, body) = server.received
        assert sorted(parse_qsl(body.decode())) == sorted(parse_qsl(theirs_body.decode()))
        assert sent["content-type"] == theirs_sent["content-type"]

    def test_raise_the_same_errors_as_botocore(self) -> None:
        with (
            start_server(ScriptedResponse(ACCESS_DENIED_RESPONSE, 403)) as server,
            botocore_client(server.url, "sts") as client,
        ):
            ours = error_of(Tokens(server.caller("sts")).assume_role, **ASSUME_ROLE_ARGUMENTS)
            assert (
                ours
                == error_of(client.assume_role, **ASSUME_ROLE_ARGUMENTS)
                == {"Code": "AccessDenied", "Message": "Not <you>."}
            )


class TestObjects:
    @pytest.mark.parametrize("key", OBJECT_KEYS)
    def test_are_written_as_by_botocore(self, key: str) -> None:
        arguments: dict[str, Any] = {
            "Bucket": "artifacts",
            "Key": key,
            "Body": b'{"a":1}',
            "ContentType": "application/json",
        }
        with (
            start_server(ScriptedResponse(b"", headers={"ETag": '"5d"'})) as server,
            botocore_client(server.url, "s3") as client,
        ):
            theirs = client.put_object(**arguments)
            assert objects_client(server).put_object(**arguments)["ETag"] == theirs["ETag"] == '"5d"'
        (theirs_path, theirs_sent, theirs_body), (path, sent, body) = server.received
        assert (path, body, server.methods) == (theirs_path, theirs_body, ["PUT", "PUT"])
        assert sent["content-type"] == theirs_sent["content-type"]

    @pytest.mark.parametrize("key", OBJECT_KEYS)
    def test_are_read_as_by_botocore(self, key: str) -> None:
        arguments = {"Bucket": "artifacts", "Key": key}
        with start_server(ScriptedResponse(b"\x00<not xml")) as server, botocore_client(server.url, "s3") as client:
            theirs = client.get_object(**arguments)["Body"].read()
            assert objects_client(server).get_object(**arguments)["Body"].read() == theirs == b"\x00<not xml"
        (theirs_path, *_), (path, sent, _) = server.received
        assert (path, server.methods) == (theirs_path, ["GET", "GET"])
        assert sent["x-amz-security-token"] == KEYS.token

    def test_raise_the_same_error_as_botocore_if_missing(self) -> None:
        arguments = {"Bucket": "artifacts", "Key": "a"}
        with (
            start_server(ScriptedResponse(NO_SUCH_KEY_RESPONSE, 404)) as server,
            botocore_client(server.url, "s3") as client,
        ):
            ours = error_of(objects_client(server).get_object, **arguments)
            assert ours == error_of(client.get_object, **arguments)
            assert (ours["Code"], len(server.received)) == ("NoSuchKey", 2)

    def test_are_read_again_after_throttling(self) -> None:
        throttled = ScriptedResponse(NO_SUCH_KEY_RESPONSE.replace(b"NoSuchKey", b"SlowDown"), 503)
        with start_server(throttled, ScriptedResponse(b"{}")) as server:
            assert objects_client(server).get_object(Bucket="artifacts", Key="a")["Body"].read() == b"{}"
            assert server.pauses == [1.0]

    def test_use_the_virtual_host_of_the_bucket(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        caller = ClientSettings("s3", lambda: KEYS).caller("artifacts")
        assert caller._connections.host == "artifacts.s3.eu-west-1.amazonaws.com"  # pyright: ignore[reportPrivateUsage]
        with start_server(ScriptedResponse(b"{}")) as server:
            virtual_hosted = Objects(lambda _: server.caller("s3"), lambda: None, by_path=False)
            virtual_hosted.get_object(Bucket="artifacts", Key="a/b.json")
        assert server.received[0][0] == "/a/b.json"

    def test_are_listed_and_deleted_by_botocore(self) -> None:
        with botocore_client("http://127.0.0.1:9", "s3") as client:
            factory_calls: list[str] = []

            def create_botocore_client() -> Any:  # noqa: ANN401 — botocore's
                factory_calls.append("once")
                return client

            delegating = Objects(
                lambda _: pytest.fail("a lean client is created"), create_botocore_client, by_path=True
            )
            assert delegating.delete_objects == client.delete_objects
            assert delegating.list_object_versions == client.list_object_versions
            assert factory_calls == ["once"]


class TestSecrets:
    def test_are_read_as_by_botocore(self) -> None:
        scripted = {"ARN": "arn", "Name": "ainexus-test/a", "SecretString": '{"api_key": "k"}', "VersionId": "1"}
        with (
            start_server(ScriptedResponse(json.dumps(scripted).encode())) as server,
            botocore_client(server.url, "secretsmanager") as client,
        ):
            theirs = client.get_secret_value(SecretId="ainexus-test/a")
            ours = Secrets(server.caller("secretsmanager"), lambda: None).get_secret_value(SecretId="ainexus-test/a")
        assert ours["SecretString"] == theirs["SecretString"]
        (_, theirs_sent, theirs_body), (_, sent, body) = server.received
        assert (sent["x-amz-target"], json.loads(body)) == (theirs_sent["x-amz-target"], json.loads(theirs_body))

    def test_raise_the_same_error_as_botocore_if_missing(self) -> None:
        scripted = ScriptedResponse(b'{"__type":"ResourceNotFoundException","Message":"It is not there."}', 400)
        with start_server(scripted) as server, botocore_client(server.url, "secretsmanager") as client:
            secrets = Secrets(server.caller("secretsmanager"), lambda: None)
            ours = error_of(secrets.get_secret_value, SecretId="a")
            assert ours == error_of(client.get_secret_value, SecretId="a")
