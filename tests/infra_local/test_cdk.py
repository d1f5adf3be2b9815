"""The progress of the CDK."""

from infra.local.cdk import context_of, started_stack_in


class TestStartedStackIn:
    def test_returns_the_stack_that_is_started(self) -> None:
        assert started_stack_in("AILabCore-local: deploying... [1/8]\n") == "AILabCore-local …"

    def test_returns_none_for_other_lines(self) -> None:
        lines = ("npm warn deprecated glob@7", " ✅  AILabCore-local", "AILabCore-local: start: Building x", "")
        assert [started_stack_in(line) for line in lines] == [None] * 4


class TestContextOf:
    def test_has_the_environment_the_account_and_the_region(self) -> None:
        arguments = context_of("dev", "222222222222", "us-east-2")
        assert arguments[1::2] == ["environment=dev", "account=222222222222", "region=us-east-2"]
        assert set(arguments[::2]) == {"--context"}
