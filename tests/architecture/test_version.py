"""One version, which is defined in `shared/version.py`."""

import json
import re
import tomllib

from shared.version import VERSION
from tests.architecture.source import ROOT


def test_the_newest_release_in_the_changelog_has_the_version() -> None:
    releases = re.findall(r"^## (\d\S*) - \d{4}-\d{2}-\d{2}$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert releases[0] == VERSION


def test_the_package_takes_the_version_from_its_source() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert pyproject["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "shared.version.VERSION"}
    assert "version" in pyproject["project"]["dynamic"]


def test_the_api_documents_have_the_version() -> None:
    documents = [json.loads((ROOT / "docs" / "api" / name).read_text()) for name in ("openapi.json", "asyncapi.json")]
    assert [document["info"]["version"] for document in documents] == [VERSION, VERSION]
