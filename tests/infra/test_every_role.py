"""Every role of the real services grants exactly its declared permissions, and the tests detect every mutation."""

import copy
from collections.abc import Callable, Iterator, Sequence

import pytest

from infra.services import SERVICES
from tests.infra.access import (
    GET,
    NAMES,
    PUT_SECRET,
    READ,
    READ_SECRET,
    REMOVE,
    SIMILAR_TENANT,
    WRITE,
    Probe,
    is_expected,
    probes,
    probes_around,
    roles_of,
    secret_probes,
)
from tests.infra.privilege import problems
from tests.infra.simulation import simulate, simulation
from tests.infra.templates import Json, Templates

pytestmark = pytest.mark.usefixtures("simulator")

ROLES = list(roles_of(SERVICES))
_TAG = "${aws:PrincipalTag/tenant_id}"


def to_simulation(probe: Probe, statements: Sequence[Json]) -> Json:
    """Return a probe in the simulator's format."""
    keys = {"dynamodb:LeadingKeys": list(probe.keys)} if probe.keys else {}
    tags = {"aws:PrincipalTag/tenant_id": probe.tag} if probe.tag else {}
    return simulation(probe.action, probe.resource, statements=_readable(statements), context={**keys, **tags})


def _readable(statements: Sequence[Json]) -> list[Json]:
    """Return the statements without those on resources that have no name before their creation."""
    return [one for one in statements if isinstance(one["Resource"], str | list)]


@pytest.fixture(name="roles", scope="module")
def find_statements(mesh: Templates) -> dict[str, list[Json]]:
    """Return the statements of every role of the mesh."""
    named = [role["RoleName"] for role in mesh.resources("AWS::IAM::Role") if "RoleName" in role]
    return {name: mesh.statements(name) for name in named}


class TestRoles:
    def test_exist_for_every_declaration(self, roles: dict[str, list[Json]]) -> None:
        assert {role.name for role in ROLES} == {*roles}

    def test_grant_exactly_the_declared_permissions(
        self, roles: dict[str, list[Json]], show: Callable[[str], None]
    ) -> None:
        cases = [(role, probe) for role in ROLES for probe in probes(SERVICES)]
        decisions = simulate([to_simulation(probe, roles[role.name]) for role, probe in cases])
        wrong = [
            (role.name, probe, decision)
            for (role, probe), decision in zip(cases, decisions, strict=True)
            if decision is not is_expected(role, probe, SERVICES)
        ]
        show(f"policies: {len(cases)} requests of {len(ROLES)} roles, {sum(decisions)} allowed")
        assert wrong == []


Mutation = Callable[[Json], object]

MUTATIONS: dict[str, Mutation] = {
    "no condition": lambda one: one.pop("Condition"),
    "no guards": lambda one: one["Condition"].pop("Null"),
    "no guard of the keys": lambda one: one["Condition"]["Null"].pop("dynamodb:LeadingKeys"),
    "no keys in the condition": lambda one: one["Condition"].pop("ForAllValues:StringLike"),
    "any of the keys instead of all": lambda one: one["Condition"].update(
        {"ForAnyValue:StringLike": one["Condition"].pop("ForAllValues:StringLike")}
    ),
    "no delimiter": lambda one: _change_keys(one, "#*", "*"),
    "no delimiter after the tenant": lambda one: _change_keys(one, f"{_TAG}#", f"{_TAG}*#"),
    "all tenants": lambda one: _change_keys(one, _TAG, "*"),
    "every key": lambda one: _change_keys(one, None, "*"),
    "every slice": lambda one: _change_keys(one, None, "TENANT#*"),
    "every action": lambda one: one.update(Action=["dynamodb:*"]),
    "every index": lambda one: one.update(
        Resource=[*_listed(one["Resource"]), f"{_listed(one['Resource'])[0].partition('/index/')[0]}/index/*"]
    ),
    "every table": lambda one: one.update(Resource=f"{NAMES.arn('dynamodb', 'table/ainexus-local-')}*"),
}
OBJECT_MUTATIONS: dict[str, Mutation] = {
    "objects of all tenants": lambda one: _change_objects(one, _TAG, "*"),
    "objects of tenants with a similar id": lambda one: _change_objects(one, "_id}/", "_id}*/"),
    "objects of all folders": lambda one: one.update(
        Resource=[f"{text.rsplit('/', 2)[0]}/*" for text in one["Resource"]]
    ),
    "objects to be written, too": lambda one: one.update(Action=["s3:GetObject", "s3:PutObject"]),
    "objects to be deleted, too": lambda one: one["Action"].append("s3:DeleteObject"),
}
SECRET_MUTATIONS: dict[str, Mutation] = {
    "secrets of all tenants": lambda one: _change_secrets(one, _TAG, "*"),
    "secrets of tenants with a similar id": lambda one: _change_secrets(one, "_id}/", "_id}*/"),
    "every secret": lambda one: one.update(Resource=NAMES.arn("secretsmanager", "secret:*")),
    "secrets to be read, too": lambda one: _add_action(one, READ_SECRET),
    "secrets to be written, too": lambda one: _add_action(one, PUT_SECRET),
}


class TestMutations:
    def test_are_all_detected(self, roles: dict[str, list[Json]], show: Callable[[str], None]) -> None:
        mutants = [(role, *found) for role in ROLES for found in _mutants(roles[role.name])]
        cases = [
            (number, probe, to_simulation(probe, statements), is_expected(role, probe, SERVICES))
            for number, (role, name, original, statements) in enumerate(mutants)
            for probe in _probes_for(name, original)
        ]
        decisions = simulate([simulated for _, _, simulated, _ in cases])
        caught = {case[0] for case, decision in zip(cases, decisions, strict=True) if decision is not case[3]}
        missed = [(mutant[0].name, mutant[1]) for number, mutant in enumerate(mutants) if number not in caught]
        show(f"mutations of policies: {len(caught)} of {len(mutants)} caught")
        assert missed == []
        assert {name for _, name, _, _ in mutants} == {*MUTATIONS, *OBJECT_MUTATIONS, *SECRET_MUTATIONS, "no denial"}

    def test_permissions_of_another_function_are_detected(self, roles: dict[str, list[Json]]) -> None:
        pairs = [
            (role, other)
            for role in ROLES
            for other in ROLES
            if role.is_data_role and other.is_data_role and role.service is other.service and role is not other
        ]
        probed = [probe for probe in probes(SERVICES) if probe.table is None]
        combined = [(one, [*roles[one[0].name], *roles[one[1].name]], probe) for one in pairs for probe in probed]
        decisions = simulate([to_simulation(probe, statements) for _, statements, probe in combined])
        caught = {
            (pair[0].name, pair[1].name)
            for (pair, _, probe), decision in zip(combined, decisions, strict=True)
            if decision is not is_expected(pair[0], probe, SERVICES)
        }
        more = {
            (one.name, other.name)
            for one, other in pairs
            if _permissions(roles[other.name]) - _permissions(roles[one.name])
        }
        assert caught == more
        assert ("ainexus-local-runs-api-data", "ainexus-local-runs-worker-data") in caught
        assert ("ainexus-local-agents-exporter-data", "ainexus-local-agents-api-data") in caught

    def test_a_statement_without_condition_is_detected(self, roles: dict[str, list[Json]]) -> None:
        similar_probes = [
            Probe(GET, one.slice.table, keys=(f"TENANT#{SIMILAR_TENANT}#{one.slice.name}2",), tag=None)
            for one in SERVICES
        ]
        opened = [{"Effect": "Allow", "Action": [GET], "Resource": [probe.resource]} for probe in similar_probes]
        assert all(problems(statement) for statement in opened)
        cases = [(role, *one) for role in ROLES for one in zip(similar_probes, opened, strict=True)]
        decisions = simulate([to_simulation(probe, [*roles[role.name], added]) for role, probe, added in cases])
        opened_by = {role.name for (role, _, _), decision in zip(cases, decisions, strict=True) if decision}
        assert opened_by == {role.name for role in ROLES}
        expected = [is_expected(role, probe, SERVICES) for role, probe, _ in cases]
        assert [decision for decision, is_meant in zip(decisions, expected, strict=True) if not is_meant] == [
            True
        ] * expected.count(False)


def _probes_for(mutation: str, original: Json) -> list[Probe]:
    """Return the probes that can detect a mutation: those around the slices in the statement."""
    if mutation in SECRET_MUTATIONS:
        return list(secret_probes())
    if mutation in OBJECT_MUTATIONS:
        return [probe for probe in probes(SERVICES) if probe.table is None and not probe.secret]
    slices = [one.slice for one in SERVICES if f"#{one.slice.name}" in str(original["Condition"])]
    owned = slices or [one.slice for one in SERVICES if one.slice.holds_tenant]
    return list(probes_around(owned[0]))


def _mutants(statements: Sequence[Json]) -> Iterator[tuple[str, Json, list[Json]]]:
    """Yield every effective mutation of one statement: its name, the original statement, and all statements."""
    for index, statement in enumerate(statements):
        if statement["Effect"] == "Deny":
            yield "no denial", statement, [*statements[:index], *statements[index + 1 :]]
            continue
        on_keys = "dynamodb:LeadingKeys" in str(statement.get("Condition"))
        on_objects = any(action.startswith("s3:") for action in statement["Action"])
        on_secrets = any(action.startswith("secretsmanager:") for action in statement["Action"])
        kinds = ((MUTATIONS, on_keys), (OBJECT_MUTATIONS, on_objects), (SECRET_MUTATIONS, on_secrets))
        for name, mutation in (
            (name, one) for mutations, is_applicable in kinds if is_applicable for name, one in mutations.items()
        ):
            changed = copy.deepcopy(list(statements))
            mutation(changed[index])
            if changed != statements and not _is_tautology(name, changed[index], statements):
                yield name, statement, changed


def _is_tautology(name: str, changed: Json, statements: Sequence[Json]) -> bool:
    """Return whether another statement of the role already grants the objects that the change grants."""
    return name in OBJECT_MUTATIONS and _object_permissions([changed]) <= _object_permissions(statements)


def _object_permissions(statements: Sequence[Json]) -> set[tuple[str, str]]:
    """Return the permissions on objects, without those on buckets."""
    return {
        (action, resource)
        for one in _readable(statements)
        for action in one["Action"]
        for resource in _listed(one["Resource"])
        if action in {READ, WRITE, REMOVE} and "/" in resource
    }


def _change_keys(statement: Json, old: str | None, new: str) -> None:
    keys = statement["Condition"]["ForAllValues:StringLike"]
    patterns: list[str] = keys["dynamodb:LeadingKeys"]
    keys["dynamodb:LeadingKeys"] = [new] if old is None else [pattern.replace(old, new) for pattern in patterns]


def _change_objects(statement: Json, old: str, new: str) -> None:
    statement["Resource"] = [resource.replace(old, new) for resource in statement["Resource"]]


def _add_action(statement: Json, action: str) -> None:
    if action not in statement["Action"]:
        statement["Action"].append(action)


def _change_secrets(statement: Json, old: str, new: str) -> None:
    if isinstance(statement["Resource"], str):
        statement["Resource"] = statement["Resource"].replace(old, new)


def _permissions(statements: Sequence[Json]) -> set[tuple[str, str]]:
    """Return the pairs of action and resource in these statements, without items, whose keys are in conditions."""
    return {
        (action, resource)
        for one in statements
        for action in one["Action"]
        for resource in _listed(one["Resource"])
        if action.startswith(("s3:", "secretsmanager:")) and "/" in resource
    }


def _listed(resource: str | list[str]) -> list[str]:
    return resource if isinstance(resource, list) else [resource]
