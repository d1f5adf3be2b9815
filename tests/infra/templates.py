"""Synthesized templates, and queries on them."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aws_cdk import App

from infra.app import build
from infra.bundle.target import ROOT
from infra.profile import Profile
from shared.declaration import Service
from tests.infra.sample_services import SAMPLES

Json = dict[str, Any]

CONTEXT: Json = {**json.loads((ROOT / "cdk.json").read_text())["context"], "bundle": "source"}
"""The context that the CDK command line passes to the application, except that bundles contain only the source."""

ACCOUNT = CONTEXT["account"]


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of one environment by the name of the stack."""

    environment: str
    stacks: dict[str, Json]

    def stack(self, part: str) -> Json:
        """Return the template of `Core`, `Tenants` and so on."""
        return self.stacks[f"AILab{part}-{self.environment}"]

    def resources(self, kind: str, part: str | None = None) -> list[Json]:
        """Return the properties of all resources of a type, in one stack or in all."""
        return [found["Properties"] for found in self.resources_with_attributes(kind, part)]

    def resources_with_attributes(self, kind: str, part: str | None = None) -> list[Json]:
        """Return all resources of a type."""
        return [found for _, found in self.named(kind, part)]

    def named(self, kind: str, part: str | None = None) -> Iterator[tuple[str, Json]]:
        """Yield all resources of a type with their logical ids."""
        for stack in [self.stack(part)] if part else self.stacks.values():
            yield from ((name, found) for name, found in stack["Resources"].items() if found["Type"] == kind)

    def one(self, kind: str, part: str | None = None, **expected: object) -> Json:
        """Return the properties of the one resource that has these values."""
        found = [one for one in self.resources(kind, part) if all(one.get(key) == expected[key] for key in expected)]
        assert len(found) == 1, f"{kind} {expected}: {len(found)}"
        return found[0]

    def role(self, name: str) -> Json:
        """Return a role by its name."""
        return self.one("AWS::IAM::Role", RoleName=name)

    def statements(self, role: str) -> list[Json]:
        """Return the statements of a role."""
        return [one for policy in self.role(role)["Policies"] for one in policy["PolicyDocument"]["Statement"]]


def synthesize(profile: Profile, *, folder: Path, services: Sequence[Service] = SAMPLES) -> Templates:
    """Return the templates of these services."""
    app = App(outdir=str(folder), context=CONTEXT, analytics_reporting=False)
    build(app, profile, services, openapi=b"{}")
    app.synth()
    found = {path.name.partition(".")[0]: json.loads(path.read_text()) for path in folder.glob("*.template.json")}
    return Templates(profile.environment, found)


def text_of(value: object) -> str:
    """Return a value as text, including references."""
    return json.dumps(value, sort_keys=True)
