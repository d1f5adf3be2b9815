"""Stacks, as read from CloudFormation."""

from infra.local.stacks import Stack, api_endpoint, outputs_of, stacks_of, wait_for_stacks
from tests.infra_local.clouds import cloud, stack


class TestStacksOf:
    def test_returns_only_stacks_of_the_environment(self) -> None:
        client = cloud(
            [
                stack("AILabRuns-dev"),
                stack("AILabCore-dev"),
                stack("AILabCore-prod"),
                stack("CDKToolkit"),
                stack("AILabGone-dev", "DELETE_COMPLETE"),
            ]
        )
        assert [found.name for found in stacks_of(client, "dev")] == ["AILabCore-dev", "AILabRuns-dev"]

    def test_waits_until_a_change_is_over(self) -> None:
        client = cloud([stack("AILabCore-dev", "UPDATE_IN_PROGRESS")], [stack("AILabCore-dev", "UPDATE_COMPLETE")])
        assert [found.status for found in wait_for_stacks(client, "dev")] == ["UPDATE_COMPLETE"]


class TestStack:
    def test_recognizes_a_status_that_no_deployment_can_repair(self) -> None:
        assert Stack("s", "ROLLBACK_FAILED", {}).is_broken
        assert not Stack("s", "ROLLBACK_COMPLETE", {}).is_broken
        assert Stack("s", "ROLLBACK_COMPLETE", {}).is_rolled_back

    def test_does_not_wait_for_a_change_that_is_only_planned(self) -> None:
        assert not Stack("s", "REVIEW_IN_PROGRESS", {}).is_changing


class TestOutputsOf:
    _OUTPUTS = "https://a11ab0ca.execute-api.us-east-2.amazonaws.com/local"

    def test_returns_one_flat_object_without_exports(self) -> None:
        stacks = (
            Stack("AILabCore-dev", "CREATE_COMPLETE", {"UserPoolId": "p", "ExportsOutputRefX": "x"}),
            Stack("AILabRuns-dev", "CREATE_COMPLETE", {"Other": "o"}),
        )
        assert outputs_of(stacks) == {"UserPoolId": "p", "Other": "o"}

    def test_uses_the_address_of_the_engine_locally(self) -> None:
        stacks = (Stack("AILabCore-local", "CREATE_COMPLETE", {"ApiEndpoint": self._OUTPUTS}),)
        assert outputs_of(stacks, engine="http://localhost:4700") == {
            "ApiEndpoint": "http://localhost:4700/_aws/execute-api/a11ab0ca/local",
            "EngineEndpoint": "http://localhost:4700",
        }

    def test_has_no_trailing_slash(self) -> None:
        assert api_endpoint(f"{self._OUTPUTS}/", engine=None) == self._OUTPUTS
        assert api_endpoint(f"{self._OUTPUTS}/", engine="http://e").endswith("/local")
