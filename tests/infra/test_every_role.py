"""Every role of the real services opens what its declaration asks for and nothing else; every loosening is caught."""

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
    TWIN,
    WRITE,
    Probe,
    holders,
    may,
    probes,
    probes_around,
    secret_probes,
)
from tests.infra.privilege import problems
from tests.infra.simulation import simulate, simulation
from tests.infra.templates import Json, Templates

pytestmark = pytest.mark.usefixtures("simulator")

HOLDERS = list(holders(SERVICES))
_TAG = "${aws:PrincipalTag/tenant_id}"


def asked(probe: Probe, statements: Sequence[Json]) -> Json:
    """A probe as the simulator takes it."""
    keys = {"dynamodb:LeadingKeys": list(probe.keys)} if probe.keys else {}
    tags = {"aws:PrincipalTag/tenant_id": probe.tag} if probe.tag else {}
    return simulation(probe.action, probe.resource, statements=_readable(statements), context={**keys, **tags})


def _readable(statements: Sequence[Json]) -> list[Json]:
    """Without those on things that have no name before they are made."""
    return [one for one in statements if isinstance(one["Resource"], str | list)]


@pytest.fixture(name="roles", scope="module")
def find_roles(mesh: Templates) -> dict[str, list[Json]]:
    """The statements of every role of the mesh."""
    named = [role["RoleName"] for role in mesh.resources("AWS::IAM::Role") if "RoleName" in role]
    return {name: mesh.statements(name) for name in named}


class TestRoles:
    def test_are_those_that_the_declarations_ask_for(self, roles: dict[str, list[Json]]) -> None:
        assert {holder.role for holder in HOLDERS} == {*roles}

    def test_open_what_they_must_and_nothing_else(
        self, roles: dict[str, list[Json]], show: Callable[[str], None]
    ) -> None:
        cases = [(holder, probe) for holder in HOLDERS for probe in probes(SERVICES)]
        answers = simulate([asked(probe, roles[holder.role]) for holder, probe in cases])
        wrong = [
            (holder.role, probe, answer)
            for (holder, probe), answer in zip(cases, answers, strict=True)
            if answer is not may(holder, probe, SERVICES)
        ]
        show(f"policies: {len(cases)} requests of {len(HOLDERS)} roles, {sum(answers)} allowed")
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
OF_OBJECTS: dict[str, Mutation] = {
    "objects of all tenants": lambda one: _change_objects(one, _TAG, "*"),
    "objects of twins": lambda one: _change_objects(one, "_id}/", "_id}*/"),
    "objects of all folders": lambda one: one.update(
        Resource=[f"{text.rsplit('/', 2)[0]}/*" for text in one["Resource"]]
    ),
    "objects to be written, too": lambda one: one.update(Action=["s3:GetObject", "s3:PutObject"]),
    "objects to be deleted, too": lambda one: one["Action"].append("s3:DeleteObject"),
}
OF_SECRETS: dict[str, Mutation] = {
    "secrets of all tenants": lambda one: _change_secrets(one, _TAG, "*"),
    "secrets of twins": lambda one: _change_secrets(one, "_id}/", "_id}*/"),
    "every secret": lambda one: one.update(Resource=NAMES.arn("secretsmanager", "secret:*")),
    "secrets to be read, too": lambda one: _add_action(one, READ_SECRET),
    "secrets to be written, too": lambda one: _add_action(one, PUT_SECRET),
}


class TestMutations:
    def test_are_all_caught(self, roles: dict[str, list[Json]], show: Callable[[str], None]) -> None:
        mutants = [(holder, *found) for holder in HOLDERS for found in _mutants(roles[holder.role])]
        cases = [
            (number, probe, asked(probe, statements), may(holder, probe, SERVICES))
            for number, (holder, name, spoilt, statements) in enumerate(mutants)
            for probe in _near(name, spoilt)
        ]
        answers = simulate([simulated for _, _, simulated, _ in cases])
        caught = {case[0] for case, answer in zip(cases, answers, strict=True) if answer is not case[3]}
        missed = [(mutant[0].role, mutant[1]) for number, mutant in enumerate(mutants) if number not in caught]
        show(f"mutations of policies: {len(caught)} of {len(mutants)} caught")
        assert missed == []
        assert {name for _, name, _, _ in mutants} == {*MUTATIONS, *OF_OBJECTS, *OF_SECRETS, "no denial"}

    def test_the_rights_of_another_function_of_the_service_are_caught(self, roles: dict[str, list[Json]]) -> None:
        pairs = [
            (holder, other)
            for holder in HOLDERS
            for other in HOLDERS
            if holder.is_data_role and other.is_data_role and holder.service is other.service and holder is not other
        ]
        probed = [probe for probe in probes(SERVICES) if probe.table is None]
        given = [(one, [*roles[one[0].role], *roles[one[1].role]], probe) for one in pairs for probe in probed]
        answers = simulate([asked(probe, statements) for _, statements, probe in given])
        caught = {
            (pair[0].role, pair[1].role)
            for (pair, _, probe), answer in zip(given, answers, strict=True)
            if answer is not may(pair[0], probe, SERVICES)
        }
        more = {(one.role, other.role) for one, other in pairs if _rights(roles[other.role]) - _rights(roles[one.role])}
        assert caught == more
        assert ("ainexus-local-runs-api-data", "ainexus-local-runs-worker-data") in caught
        assert ("ainexus-local-agents-exporter-data", "ainexus-local-agents-api-data") in caught

    def test_a_statement_on_a_slice_without_condition_is_caught(self, roles: dict[str, list[Json]]) -> None:
        twin = [Probe(GET, one.slice.table, keys=(f"TENANT#{TWIN}#{one.slice.name}2",), tag=None) for one in SERVICES]
        opened = [{"Effect": "Allow", "Action": [GET], "Resource": [probe.resource]} for probe in twin]
        assert all(problems(statement) for statement in opened)
        cases = [(holder, *one) for holder in HOLDERS for one in zip(twin, opened, strict=True)]
        answers = simulate([asked(probe, [*roles[holder.role], added]) for holder, probe, added in cases])
        opened_by = {holder.role for (holder, _, _), answer in zip(cases, answers, strict=True) if answer}
        assert opened_by == {holder.role for holder in HOLDERS}
        wanted = [may(holder, probe, SERVICES) for holder, probe, _ in cases]
        assert [answer for answer, meant in zip(answers, wanted, strict=True) if not meant] == [True] * wanted.count(
            False
        )


def _near(mutation: str, spoilt: Json) -> list[Probe]:
    """The probes that could see it: those around the slices that the statement speaks of."""
    if mutation in OF_SECRETS:
        return list(secret_probes())
    if mutation in OF_OBJECTS:
        return [probe for probe in probes(SERVICES) if probe.table is None and not probe.secret]
    slices = [one.slice for one in SERVICES if f"#{one.slice.name}" in str(spoilt["Condition"])]
    owned = slices or [one.slice for one in SERVICES if one.slice.holds_tenant]
    return list(probes_around(owned[0]))


def _mutants(statements: Sequence[Json]) -> Iterator[tuple[str, Json, list[Json]]]:
    """Every way to spoil one of these statements, if it changes anything; with that statement as it was."""
    for place, statement in enumerate(statements):
        if statement["Effect"] == "Deny":
            yield "no denial", statement, [*statements[:place], *statements[place + 1 :]]
            continue
        on_keys = "dynamodb:LeadingKeys" in str(statement.get("Condition"))
        on_objects = any(action.startswith("s3:") for action in statement["Action"])
        on_secrets = any(action.startswith("secretsmanager:") for action in statement["Action"])
        kinds = ((MUTATIONS, on_keys), (OF_OBJECTS, on_objects), (OF_SECRETS, on_secrets))
        for name, mutation in ((name, one) for some, is_apt in kinds if is_apt for name, one in some.items()):
            changed = copy.deepcopy(list(statements))
            mutation(changed[place])
            if changed != statements and not _is_tautology(name, changed[place], statements):
                yield name, statement, changed


def _is_tautology(name: str, changed: Json, statements: Sequence[Json]) -> bool:
    """Whether the change opens no object that another statement of the role does not open."""
    return name in OF_OBJECTS and _opened([changed]) <= _opened(statements)


def _opened(statements: Sequence[Json]) -> set[tuple[str, str]]:
    """What is granted on objects; a bucket itself is none."""
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


def _rights(statements: Sequence[Json]) -> set[tuple[str, str]]:
    """The pairs of action and resource that these statements grant, but for items, whose keys are in conditions."""
    return {
        (action, resource)
        for one in statements
        for action in one["Action"]
        for resource in _listed(one["Resource"])
        if action.startswith(("s3:", "secretsmanager:")) and "/" in resource
    }


def _listed(resource: str | list[str]) -> list[str]:
    return resource if isinstance(resource, list) else [resource]
