"""What is read from CloudFormation."""

from infra.local.stacks import Stack, api_endpoint, outputs_of, settled_stacks, stacks_of
from tests.infra_local.clouds import cloud, stack


class TestStacksOf:
    def test_has_only_those_of_the_environment(self) -> None:
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
        assert [found.status for found in settled_stacks(client, "dev")] == ["UPDATE_COMPLETE"]


class TestStack:
    def test_knows_what_no_deployment_can_mend(self) -> None:
        assert Stack("s", "ROLLBACK_FAILED", {}).is_broken
        assert not Stack("s", "ROLLBACK_COMPLETE", {}).is_broken
        assert Stack("s", "ROLLBACK_COMPLETE", {}).went_back

    def test_does_not_wait_for_a_change_that_is_only_planned(self) -> None:
        assert not Stack("s", "REVIEW_IN_PROGRESS", {}).is_changing


class TestOutputsOf:
    _SAID = "https://a11ab0ca.execute-api.us-east-2.amazonaws.com/local"

    def test_is_one_flat_object_without_what_stacks_tell_each_other(self) -> None:
        stacks = (
            Stack("AILabCore-dev", "CREATE_COMPLETE", {"UserPoolId": "p", "ExportsOutputRefX": "x"}),
            Stack("AILabRuns-dev", "CREATE_COMPLETE", {"Other": "o"}),
        )
        assert outputs_of(stacks) == {"UserPoolId": "p", "Other": "o"}

    def test_leads_to_the_engine_locally(self) -> None:
        stacks = (Stack("AILabCore-local", "CREATE_COMPLETE", {"ApiEndpoint": self._SAID}),)
        assert outputs_of(stacks, engine="http://localhost:4700") == {
            "ApiEndpoint": "http://localhost:4700/_aws/execute-api/a11ab0ca/local",
            "EngineEndpoint": "http://localhost:4700",
        }

    def test_has_no_slash_at_the_end(self) -> None:
        assert api_endpoint(f"{self._SAID}/", engine=None) == self._SAID
        assert api_endpoint(f"{self._SAID}/", engine="http://e").endswith("/local")
