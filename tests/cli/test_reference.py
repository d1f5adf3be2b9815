"""The reference of all commands."""

from cli.reference import PAGE, reference


class TestReference:
    def test_is_up_to_date(self) -> None:
        assert reference() == PAGE.read_text(), "run `make docs`"

    def test_explains_options_and_their_values(self) -> None:
        assert (
            "| `--plan PLAN` | The tenant's plan. One of `free`, `pro`, `enterprise`. Default: `free`. |" in reference()
        )
        assert "| `--tenant TEXT` | The tenant to repair. Required. |" in reference()

    def test_lists_commands_of_groups_with_their_arguments(self) -> None:
        assert "```sh\n./ainexus dead-letters show [OPTIONS] QUEUE\n```" in reference()
