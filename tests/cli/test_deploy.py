"""How the CDK is called for an environment."""

from cli.deploy import cdk_arguments
from cli.target import Target


class TestCdkArguments:
    def test_names_the_environment_and_keeps_its_templates_apart(self) -> None:
        said = " ".join(cdk_arguments(Target("prod"), "synth", "--quiet", account="222222222222"))
        assert said.startswith("synth --quiet --context environment=prod --context account=222222222222")
        assert "--output .ainexus/cdk.out.prod" in said

    def test_takes_this_machines_account_locally(self) -> None:
        assert "account=111111111111" in cdk_arguments(Target("local"), "diff", account="111111111111")
