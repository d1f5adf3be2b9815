"""What is shown of the CDK's own words."""

from infra.local.cdk import context_of, news_in


class TestNewsIn:
    def test_is_the_stack_that_is_begun(self) -> None:
        assert news_in("AILabCore-local: deploying... [1/8]\n") == "AILabCore-local …"

    def test_is_nothing_for_the_noise(self) -> None:
        lines = ("npm warn deprecated glob@7", " ✅  AILabCore-local", "AILabCore-local: start: Building x", "")
        assert [news_in(line) for line in lines] == [None] * 4


class TestContextOf:
    def test_names_the_environment_the_account_and_the_region(self) -> None:
        said = context_of("dev", "222222222222", "us-east-2")
        assert said[1::2] == ["environment=dev", "account=222222222222", "region=us-east-2"]
        assert set(said[::2]) == {"--context"}
