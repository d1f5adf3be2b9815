"""The default tenants and users, and imported ones."""

from cli.seed import lines_of, lines_of_import


class TestLinesOfSeed:
    def test_distinguishes_created_from_existing(self) -> None:
        seeded = {
            "tenants": [{"tenant_id": "demo-org", "created": False}],
            "users": [{"email": "a@b.c", "tenant_id": "demo-org", "role": "developer", "created": True}],
        }
        tenant, user = lines_of(seeded)
        assert tenant.split() == ["tenant", "demo-org", "exists"]
        assert user.endswith("developer, created")


class TestLinesOfImport:
    def test_lists_imported_and_left_out(self) -> None:
        lines = lines_of_import({"tenants": ["made"], "users": ["a@made.com"], "left": {"x@none.com": "no tenant"}})
        assert [line.split()[:2] for line in lines] == [
            ["tenant", "made"],
            ["user", "a@made.com"],
            ["left", "x@none.com"],
        ]

    def test_is_one_line_if_there_was_nothing_to_import(self) -> None:
        assert lines_of_import({"tenants": [], "users": [], "left": {}}) == ["There is nothing to import."]
