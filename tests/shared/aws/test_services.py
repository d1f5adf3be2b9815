"""Session keys, objects and secrets are asked for, and given, as botocore does it."""

import json
from typing import Any
from urllib.parse import parse_qsl

import pytest
from botocore.exceptions import ClientError

from shared.aws.services import Objects, Secrets, Tokens
from shared.storage.clients import Asked
from tests.shared.aws.server import KEYS, Server, Told, by_botocore, serving

ASSUME: dict[str, Any] = {
    "RoleArn": "arn:aws:iam::123456789012:role/ainexus-test-runs-data",
    "RoleSessionName": "tenant-acme",
    "Tags": [{"Key": "tenant_id", "Value": "acme & söhne"}, {"Key": "other", "Value": "b"}],
}
ASSUMED = b"""<?xml version="1.0"?>
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
DENIED = b"""<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not &lt;you&gt;.</Message></Error>
  <RequestId>c6104cbe</RequestId>
</ErrorResponse>
"""
MISSING = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><RequestId>4442587F</RequestId></Error>
"""
KEYS_OF_OBJECTS = ["tenants/acme/agents/agt_1/versions/1.json", "a b+c=%2F~é/ü.json", "..%2e/#?&;"]


def objects(server: Server) -> Objects:
    return Objects(lambda _: server.caller("s3"), lambda: pytest.fail("botocore is asked"), by_path=True)


def refused(call: Any, **arguments: Any) -> Any:  # noqa: ANN401 — what botocore raises
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    said: dict[str, Any] = {**caught.value.response.get("Error", {})}
    return {name: said[name] for name in ("Code", "Message")}


class TestTokens:
    def test_are_asked_for_and_given_as_by_botocore(self) -> None:
        with serving(Told(ASSUMED)) as server, by_botocore(server.url, "sts") as client:
            theirs = client.assume_role(**ASSUME)
            ours = Tokens(server.caller("sts")).assume_role(**ASSUME)
        assert ours["Credentials"] == theirs["Credentials"]
        (_, theirs_sent, theirs_body), (_, sent, body) = server.heard
        assert sorted(parse_qsl(body.decode())) == sorted(parse_qsl(theirs_body.decode()))
        assert sent["content-type"] == theirs_sent["content-type"]

    def test_are_refused_as_by_botocore(self) -> None:
        with serving(Told(DENIED, 403)) as server, by_botocore(server.url, "sts") as client:
            ours = refused(Tokens(server.caller("sts")).assume_role, **ASSUME)
            assert ours == refused(client.assume_role, **ASSUME) == {"Code": "AccessDenied", "Message": "Not <you>."}


class TestObjects:
    @pytest.mark.parametrize("key", KEYS_OF_OBJECTS)
    def test_are_written_as_by_botocore(self, key: str) -> None:
        asked: dict[str, Any] = {
            "Bucket": "artifacts",
            "Key": key,
            "Body": b'{"a":1}',
            "ContentType": "application/json",
        }
        with serving(Told(b"", headers={"ETag": '"5d"'})) as server, by_botocore(server.url, "s3") as client:
            theirs = client.put_object(**asked)
            assert objects(server).put_object(**asked)["ETag"] == theirs["ETag"] == '"5d"'
        (theirs_path, theirs_sent, theirs_body), (path, sent, body) = server.heard
        assert (path, body, server.methods) == (theirs_path, theirs_body, ["PUT", "PUT"])
        assert sent["content-type"] == theirs_sent["content-type"]

    @pytest.mark.parametrize("key", KEYS_OF_OBJECTS)
    def test_are_read_as_by_botocore(self, key: str) -> None:
        asked = {"Bucket": "artifacts", "Key": key}
        with serving(Told(b"\x00<not xml")) as server, by_botocore(server.url, "s3") as client:
            theirs = client.get_object(**asked)["Body"].read()
            assert objects(server).get_object(**asked)["Body"].read() == theirs == b"\x00<not xml"
        (theirs_path, *_), (path, sent, _) = server.heard
        assert (path, server.methods) == (theirs_path, ["GET", "GET"])
        assert sent["x-amz-security-token"] == KEYS.token

    def test_that_are_not_there_are_missing_as_with_botocore(self) -> None:
        asked = {"Bucket": "artifacts", "Key": "a"}
        with serving(Told(MISSING, 404)) as server, by_botocore(server.url, "s3") as client:
            ours = refused(objects(server).get_object, **asked)
            assert ours == refused(client.get_object, **asked)
            assert (ours["Code"], len(server.heard)) == ("NoSuchKey", 2)

    def test_are_asked_for_again_when_the_bucket_is_too_busy(self) -> None:
        busy = Told(MISSING.replace(b"NoSuchKey", b"SlowDown"), 503)
        with serving(busy, Told(b"{}")) as server:
            assert objects(server).get_object(Bucket="artifacts", Key="a")["Body"].read() == b"{}"
            assert server.pauses == [1.0]

    def test_have_the_host_of_their_bucket_where_there_is_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_REGION", "eu-west-1")
        monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
        caller = Asked("s3", lambda: KEYS).caller("artifacts")
        assert caller._connections.host == "artifacts.s3.eu-west-1.amazonaws.com"  # pyright: ignore[reportPrivateUsage]
        with serving(Told(b"{}")) as server:
            here = Objects(lambda _: server.caller("s3"), lambda: None, by_path=False)
            here.get_object(Bucket="artifacts", Key="a/b.json")
        assert server.heard[0][0] == "/a/b.json"

    def test_are_counted_listed_and_deleted_by_botocore(self) -> None:
        with by_botocore("http://127.0.0.1:9", "s3") as client:
            asked: list[str] = []

            def rest() -> Any:  # noqa: ANN401 — botocore's
                asked.append("once")
                return client

            whole = Objects(lambda _: pytest.fail("it is called"), rest, by_path=True)
            assert whole.delete_objects == client.delete_objects
            assert whole.list_object_versions == client.list_object_versions
            assert asked == ["once"]


class TestSecrets:
    def test_are_read_as_by_botocore(self) -> None:
        told = {"ARN": "arn", "Name": "ainexus-test/a", "SecretString": '{"api_key": "k"}', "VersionId": "1"}
        with serving(Told(json.dumps(told).encode())) as server, by_botocore(server.url, "secretsmanager") as client:
            theirs = client.get_secret_value(SecretId="ainexus-test/a")
            ours = Secrets(server.caller("secretsmanager"), lambda: None).get_secret_value(SecretId="ainexus-test/a")
        assert ours["SecretString"] == theirs["SecretString"]
        (_, theirs_sent, theirs_body), (_, sent, body) = server.heard
        assert (sent["x-amz-target"], json.loads(body)) == (theirs_sent["x-amz-target"], json.loads(theirs_body))

    def test_that_are_not_there_are_missing_as_with_botocore(self) -> None:
        told = Told(b'{"__type":"ResourceNotFoundException","Message":"It is not there."}', 400)
        with serving(told) as server, by_botocore(server.url, "secretsmanager") as client:
            secrets = Secrets(server.caller("secretsmanager"), lambda: None)
            ours = refused(secrets.get_secret_value, SecretId="a")
            assert ours == refused(client.get_secret_value, SecretId="a")
