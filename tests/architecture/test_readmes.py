"""The READMEs of the services match the declarations in the code."""

import re

import pytest

from infra.services import SERVICES
from shared.declaration import Service
from tests.architecture.source import ROOT

HEADINGS = ["Owns", "Does not own", "API", "Emits", "Consumes", "Table", "Alarms"]
NOTHING = "Nothing yet."

Row = tuple[str, ...]


class Readme:
    """One README, cut at its headings."""

    def __init__(self, service: Service) -> None:
        text = (ROOT / "services" / service.name / "README.md").read_text()
        self.headings = re.findall(r"^(#+ .*)$", text, re.MULTILINE)
        head, *sections = re.split(r"^## ", text, flags=re.MULTILINE)
        self.sentence = head.partition("\n")[2].strip()
        self._sections = {name: body for name, _, body in (section.partition("\n") for section in sections)}

    def section(self, name: str) -> str:
        """Return the text under a heading."""
        return self._sections[name].strip()

    def table(self, name: str) -> tuple[Row, list[Row]]:
        """Return the head and the rows of the first table under a heading."""
        lines = [line for line in self.section(name).splitlines() if line.startswith("|")]
        head, _, *rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]
        return head, rows

    def events(self, name: str) -> list[str]:
        """Return the event types under a heading, sorted."""
        if self.section(name).startswith(NOTHING):
            return []
        return sorted(row[0].strip("`") for row in self.table(name)[1])


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
class TestReadme:
    def test_has_the_headings_of_all_services(self, service: Service) -> None:
        assert Readme(service).headings == [f"# {service.name}", *(f"## {name}" for name in HEADINGS)]

    def test_says_in_one_sentence_what_the_service_is(self, service: Service) -> None:
        assert re.fullmatch(r"[^.]+\.", Readme(service).sentence)

    def test_leaves_no_section_empty(self, service: Service) -> None:
        readme = Readme(service)
        assert [name for name in HEADINGS if not readme.section(name)] == []

    def test_lists_exactly_the_routes(self, service: Service) -> None:
        head, rows = Readme(service).table("API")
        assert head == ("method", "path", "least role", "feature")
        assert sorted(rows) == sorted(
            (
                route.method,
                f"`{route.path}`",
                route.min_role.value if route.min_role else "",
                route.feature.value if route.feature else "",
            )
            for route in service.routes
        )

    def test_lists_exactly_what_is_emitted(self, service: Service) -> None:
        assert Readme(service).events("Emits") == sorted(service.emits)

    def test_lists_exactly_what_is_consumed(self, service: Service) -> None:
        assert Readme(service).events("Consumes") == sorted(service.consumes)

    def test_names_the_slice_and_its_table(self, service: Service) -> None:
        payload = f"Slice `{service.slice.name}` of the table `{service.slice.table}`."
        assert Readme(service).section("Table").startswith(payload)

    def test_every_key_lies_in_the_slice(self, service: Service) -> None:
        head, rows = Readme(service).table("Table")
        own = re.escape(service.slice.key("<t>"))
        pattern = rf"`{own}(#.+)?`" + (r"|`TENANT#<t>`" if service.slice.holds_tenant else "")
        assert head == ("PK", "SK", "item")
        assert [row[0] for row in rows if not re.fullmatch(pattern, row[0])] == []

    def test_lists_exactly_the_alarms(self, service: Service) -> None:
        rows = Readme(service).table("Alarms")[1]
        assert [row[0] for row in rows] == list(service.alarms)


def test_a_missing_row_is_seen() -> None:
    readme = Readme(SERVICES[0])
    assert len(readme.table("API")[1]) == len(SERVICES[0].routes) > 0
