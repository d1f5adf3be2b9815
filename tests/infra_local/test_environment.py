"""The user's settings for AWS do not affect the local mesh."""

from pathlib import Path

from infra.local.environment import for_aws_clients, for_engine
from infra.local.paths import Home

_USERS = {
    "PATH": "/bin",
    "AWS_PROFILE": "work",
    "AWS_SESSION_TOKEN": "token",
    "AWS_ENDPOINT_URL_S3": "https://elsewhere.example",
    "AWS_REGION": "eu-west-1",
    "AWS_CA_BUNDLE": "/ca.pem",
    "NO_PROXY": "intra.example",
    "PYTHONPATH": "/mine",
    "SERVICES": "s3",
}


class TestForAwsClients:
    def test_connects_to_the_engine_only(self) -> None:
        environ = for_aws_clients(_USERS, port=4700)
        assert environ["AWS_ENDPOINT_URL"] == "http://localhost:4700"
        assert environ["AWS_ACCESS_KEY_ID"] == "111111111111"
        assert environ["AWS_REGION"] == "us-east-2"
        outside = {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"}
        assert not outside & environ.keys()

    def test_bypasses_the_proxy_and_keeps_existing_exceptions(self) -> None:
        assert for_aws_clients(_USERS, port=1)["no_proxy"] == "intra.example,localhost,127.0.0.1"

    def test_keeps_other_variables(self) -> None:
        assert for_aws_clients(_USERS, port=1)["PATH"] == "/bin"


class TestForEngine:
    def test_passes_only_required_variables(self, tmp_path: Path) -> None:
        environ = for_engine(_USERS, home=Home(tmp_path, tmp_path), port=4700, mark="m")
        assert environ["PATH"] == "/bin"
        # SERVICES would switch services off; PYTHONPATH would reach the functions.
        assert not {"PYTHONPATH", "SERVICES", "AWS_PROFILE", "AWS_ENDPOINT_URL"} & environ.keys()

    def test_listens_on_this_machine_only(self, tmp_path: Path) -> None:
        environ = for_engine({}, home=Home(tmp_path, tmp_path), port=4700, mark="m")
        assert (environ["BIND_HOST"], environ["GATEWAY_PORT"]) == ("127.0.0.1", "4700")
