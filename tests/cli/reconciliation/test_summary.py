"""The summary of several comparisons."""

from typing import Any

from cli.commands.reconcile import lines_of
from cli.errors import CommandRefused
from cli.reconciliation.comparison import Reconciliation
from cli.reconciliation.summary import ReconciliationSummary
from services.runs.budgets.domain import Spent
from shared.times import utc_now
from tests.cli.reconciliation.services import PERIOD, reconciled_services
from tests.services.runs.examples import TENANT


class TestReconciliationSummary:
    def test_reports_drift_with_its_tenant(self) -> None:
        with reconciled_services() as services:
            services.spend(Spent(tokens=50))
            summary = ReconciliationSummary()
            summary.add(services.reconciliation, repair=False)
        assert [(one["tenant_id"], one["place"], one["found"]) for one in summary.drift] == [(TENANT, "budget", 50)]
        assert summary.repaired == []

    def test_reports_repairs_and_no_drift_after_them(self) -> None:
        with reconciled_services() as services:
            services.spend(Spent(tokens=50))
            summary = ReconciliationSummary()
            summary.add(services.reconciliation, repair=True)
        assert [(one["tenant_id"], PERIOD in one["what"]) for one in summary.repaired] == [(TENANT, True)]
        assert (summary.drift, summary.tenants) == ([], 1)

    def test_has_the_fields_of_the_json_output(self) -> None:
        fields = ["drift", "pending", "repaired", "tenants", "entries", "failed"]
        assert list(ReconciliationSummary().to_json()) == fields

    def test_goes_on_after_a_tenant_that_cannot_be_compared(self) -> None:
        def refuse(service: str, command: str, /, **_: object) -> dict[str, Any]:
            msg = f"The {service} service failed at {command}."
            raise CommandRefused(msg)

        broken = Reconciliation("broken-org", refuse, now=utc_now, pause=lambda _: None)
        summary = ReconciliationSummary()
        with reconciled_services() as services:
            for one in (broken, services.reconciliation):
                summary.add(one, repair=False)
        assert summary.failed == [{"tenant_id": "broken-org", "reason": "The metering service failed at recount."}]
        assert summary.tenants == 1


class TestLinesOfReconciliation:
    def test_report_that_there_is_no_drift(self) -> None:
        summary = ReconciliationSummary(tenants=2, entries=7)
        assert lines_of(summary.to_json()) == ["No drift: 7 ledger entries of 2 tenants compared."]

    def test_names_the_tenants_that_were_not_compared(self) -> None:
        summary = ReconciliationSummary(failed=[{"tenant_id": "acme", "reason": "no answer"}])
        assert lines_of(summary.to_json())[0] == "acme was not compared: no answer"

    def test_list_repairs_before_the_remaining_drift(self) -> None:
        row = {"tenant_id": "acme", "place": "day", "at": "2026-11-22", "meter": "tokens_in", "expected": 1, "found": 2}
        summary = ReconciliationSummary(drift=[row], repaired=[{"tenant_id": "acme", "what": "published again: e"}])
        lines = lines_of(summary.to_json())
        assert lines[:2] == ["acme: published again: e", "Drift:"]
        assert lines[3].split() == ["acme", "day", "2026-11-22", "tokens_in", "1", "2", "-"]
