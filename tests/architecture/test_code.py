"""Rules of the code that no linter knows."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.source import Definition, Module, attributes, imported, modules, of_functions, parts

LONGEST_FILE, LONGEST_FUNCTION = 500, 40

EDGES = {
    ("shared/http/app.py", "HttpApp.__call__"),
    ("shared/messaging/consumer.py", "EventConsumer._handle_one"),
    ("shared/messaging/consumer.py", "EventConsumer._handle_batch"),
    ("shared/messaging/queue.py", "QueueConsumer._handle_one"),
    ("shared/sandbox.py", "Sandbox.call"),
    ("shared/sweep.py", "sweep"),
    ("shared/sweep.py", "sweep.<locals>.handle_one"),
    ("shared/sweep.py", "_record"),
    ("services/tenants/users/operations/import_existing.py", "_import_or_skip"),
    ("services/tenants/users/operations/rollouts.py", "_sync_or_defer"),
    ("services/billing/reconciliation/operations.py", "compare_page"),
    ("services/runs/tenants/operations.py", "_has_ended"),
    ("services/runs/execution/operations/execution.py", "Execution.work"),
    ("services/runs/execution/operations/call_end.py", "_cost"),
    ("cli/app.py", "main"),
    ("infra/local/launcher.py", "_start"),
    ("cli/doctor/examination.py", "_run"),
}
"""Where anything may be caught: the caller gets an answer, the other messages or users are handled, known troubles
explained, and no run is paid for again."""

WITHOUT_TENANT = {
    **{
        f"services/core/authorizer/table.py:ApiKeys.{name}": "for the authorizer: by a secret, which names no tenant"
        for name in ("find", "mark_used")
    },
    **{
        f"services/core/outbox/table.py:Outboxes.{name}": "for the publisher: of the outboxes of all tenants"
        for name in ("delete", "dead_letter", "due_keys", "read")
    },
    **{
        f"services/tenants/tenants/table/tenants.py:AllTenants.{name}": "for operators: from the `due` index"
        for name in ("page", "page_with_settings")
    },
    "services/runs/runs/table/runs.py:AllRuns.queue_wait": "for the reaper: of all tenants, from the `due` index",
    "services/billing/customers/table.py:AllCustomers.page": "for operators: from the `due` index",
    **{
        f"services/billing/stripe_webhooks/table.py:{name}": "for webhooks, before their tenant is known"
        for name in (
            "ReceivedWebhooks.add",
            "ReceivedWebhooks.find",
            "ReceivedWebhooks.finish",
            "ReceivedWebhooks.event_id_of",
            "StripeCustomers.find_tenant",
            "StripeCustomers.save_tenant",
        )
    },
    "services/metering/counters/table/rows.py:SeenRows.add": "remembers keys, which carry their tenant",
    "services/metering/counters/table/tenants.py:UsageOfAllTenants.tenants_during": "for exports: from the `due` index",
}
UNITS_OF_MONEY = ("nano_usd", "cents")
CLOCKS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
CLOCK_AND_CHANCE = {"random", "uuid", "secrets", "time", "os"}
PATHS = {"__main__.py", "keys.py", "server.py"}
"""Of the local Stripe, what knows files, processes and sockets, and no money."""
MADE_BY_CLOCK_OR_CHANCE = {"shared.times.utc_now", "shared.ids.new_id"}


def module(text: str, path: str = "services/agents/agents/table.py") -> Module:
    return Module(path, text, ast.parse(text))


TENANT_TABLES = {
    "TenantRows",
    "TenantTable",
    "CopyTable",
    "TenantItem",
    "MonthlyTable",
    "AdjacentRows",
    "RunStates",
    "RunItems",
}
"""The base classes of tables that are bound to their tenant when they are made."""


def bound_classes(of: Module) -> set[str]:
    """Return the classes of a module whose base makes them a tenant's table."""
    bound = {*TENANT_TABLES}
    for node in ast.walk(of.tree):
        if isinstance(node, ast.ClassDef) and {ast.unparse(base).partition("[")[0] for base in node.bases} & bound:
            bound.add(node.name)
    return bound


def without_tenant(of: Module) -> Iterator[str]:
    """Find public functions, and methods of classes without a tenant, that do not take the tenant first."""
    bound = bound_classes(of)
    for name, definition in of.definitions():
        if "<locals>" in name or any(part.startswith("_") for part in name.split(".")):
            continue
        if name.partition(".")[0] in bound:
            continue
        arguments = [*definition.args.posonlyargs, *definition.args.args]
        first = next((argument for argument in arguments if argument.arg not in {"self", "store"}), None)
        if not first or first.arg != "tenant_id":
            yield f"{of.path}:{name}"


def clock_or_chance(of: Module) -> list[str]:
    """Return the uses of the clock and of randomness in a module."""
    names = set(imported(of.tree))
    taken = {name for name in names if name.split(".")[0] in CLOCK_AND_CHANCE}
    return sorted(taken | names & MADE_BY_CLOCK_OR_CHANCE | set(attributes(of.tree)) & CLOCKS)


def floats(of: Module) -> list[int]:
    """Return the lines of a module that can make a float."""
    return [node.lineno for node in ast.walk(of.tree) if isinstance(node, ast.expr) and _is_float(node)]


def _is_float(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=float()) | ast.Name(id="float" | "round") | ast.BinOp(op=ast.Div()):
            return True
        case _:
            return False


def catches_all(definition: Definition) -> bool:
    return any(isinstance(node, ast.ExceptHandler) and _is_any(node.type) for node in ast.walk(definition))


def _is_any(kind: ast.expr | None) -> bool:
    return kind is None or bool({"Exception", "BaseException"} & set(ast.unparse(kind).strip("()").split(", ")))


def length(definition: Definition) -> int:
    """Count the lines of a function, without its docstring."""
    assert definition.end_lineno is not None
    docstring = definition.body[0] if ast.get_docstring(definition) else None
    lines = definition.end_lineno - definition.lineno + 1
    return lines - (docstring.end_lineno or 0) + docstring.lineno - 1 if docstring else lines


COUNTING = ("services/billing/", "services/metering/", "shared/drift.py", "shared/meters.py", "shared/money.py")

SECONDS = ("services/billing/stripe_api/gateway/secret.py", "services/metering/exports/operations/requests.py")
"""For how long a key is kept, or an export is waited for, by a clock that gives floats."""


class TestTables:
    def test_every_public_function_takes_the_tenant_first(self) -> None:
        found = [name for of in parts("table") for name in without_tenant(of)]
        assert sorted(found) == sorted(WITHOUT_TENANT)

    @pytest.mark.parametrize(
        "text",
        ["def get(store, project_id: str): ...", "class T:\n def get(self, run_id: str, tenant_id: str): ..."],
    )
    def test_one_without_it_is_seen(self, text: str) -> None:
        assert len(list(without_tenant(module(text)))) == 1

    def test_methods_of_a_tenants_table_need_none(self) -> None:
        bound = "class A(TenantTable[X]):\n def f(self): ...\nclass B(A):\n def g(self): ..."
        assert list(without_tenant(module(bound))) == []


class TestClockAndChance:
    def test_below_the_edge_they_are_arguments(self) -> None:
        taken = {of.path: clock_or_chance(of) for of in parts("domain", "operations", "table")}
        assert {path: names for path, names in taken.items() if names} == {}

    @pytest.mark.parametrize(
        "text",
        [
            "from shared.times import utc_now",
            "import random",
            "from uuid import uuid4",
            "import secrets",
            "from datetime import datetime, UTC\nx = datetime.now(UTC)",
            "from shared.ids import new_id",
        ],
    )
    def test_taken_there_they_are_seen(self, text: str) -> None:
        assert clock_or_chance(module(text))


class TestMoney:
    def test_no_module_that_counts_money_makes_a_float(self) -> None:
        money = [of for of in of_functions() if any(unit in of.text for unit in UNITS_OF_MONEY)]
        assert money
        assert {of.path: floats(of) for of in money if floats(of)} == {}

    def test_neither_does_any_that_counts_what_money_is_asked_for(self) -> None:
        counting = [of for of in modules() if of.path.startswith(COUNTING) and of.path not in SECONDS]
        assert len(counting) > 50
        assert {of.path: floats(of) for of in counting if floats(of)} == {}

    def test_no_module_of_the_local_stripe_makes_one(self) -> None:
        folder = "sandbox/stripe/"
        money = [of for of in modules() if of.path.startswith(folder) and of.path.removeprefix(folder) not in PATHS]
        assert len(money) > 20
        assert {of.path: floats(of) for of in money if floats(of)} == {}

    @pytest.mark.parametrize("text", ["x = 0.5", "x = a / b", "x = float(y)", "x = round(y)"])
    def test_a_float_is_seen(self, text: str) -> None:
        assert floats(module(text)) == [1]


class TestErrors:
    def test_everything_is_caught_at_the_edges_alone(self) -> None:
        found = {(of.path, name) for of in modules() for name, node in of.definitions() if catches_all(node)}
        assert found == EDGES

    @pytest.mark.parametrize("kind", ["", " Exception", " BaseException as e", " (ValueError, Exception)"])
    def test_a_catch_all_is_seen(self, kind: str) -> None:
        [(_, definition)] = module(f"def f():\n try: ...\n except{kind}: ...").definitions()
        assert catches_all(definition)


class TestRandomness:
    def test_comes_from_one_module(self) -> None:
        users = [of.path for of in of_functions() if {"random", "random.Random"} & set(imported(of.tree))]
        assert users == ["shared/randomness.py"]


class TestSize:
    def test_no_file_is_over_500_lines(self) -> None:
        assert [of.path for of in modules() if len(of.text.splitlines()) > LONGEST_FILE] == []

    def test_no_function_is_over_40_lines(self) -> None:
        lengths = {f"{of.path}:{name}": length(node) for of in modules() for name, node in of.definitions()}
        assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


class TestEvents:
    def test_no_service_puts_events_on_the_bus_itself(self) -> None:
        users = [of.path for of in of_functions() if any(name.endswith(".put_events") for name in attributes(of.tree))]
        assert users == ["services/core/outbox/operations/publishing.py"]

    def test_no_function_scans_a_table(self) -> None:
        users = [of.path for of in of_functions() if any(name.endswith(".scan") for name in attributes(of.tree))]
        assert users == []
