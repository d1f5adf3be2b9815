"""Usage events, as the runs service says them."""

from datetime import UTC, datetime

from shared.events.envelope import Event, happened
from shared.events.runs import UsageRecorded
from shared.meters import Meter

AT = datetime(2026, 11, 22, 23, 19, 5, 42_000, tzinfo=UTC)
METERS = {Meter.REQUESTS: 1, Meter.TOKENS_IN: 12, Meter.TOKENS_OUT: 30}


def used(
    run: str = "run_1",
    *,
    tenant_id: str = "demo-org",
    at: datetime = AT,
    meters: dict[Meter, int] | None = None,
    cost_nano_usd: int | None = 700,
    agent_id: str = "agt_1",
    model: str = "gpt-4",
    provider: str = "simulated",
    project_id: str | None = None,
) -> Event[UsageRecorded]:
    """What the first call of a run used."""
    said = UsageRecorded(
        run_id=run,
        attempt=1,
        call=1,
        request_id=f"request-of-{run}",
        agent_id=agent_id,
        version=1,
        project_id=project_id,
        provider=provider,
        model=model,
        meters=METERS if meters is None else meters,
        cost_nano_usd=cost_nano_usd,
        price_version="2026-11-01",
        simulated=True,
        period=f"{at:%Y-%m}",
    )
    return happened(said, event_id=f"{run}:1:1", tenant_id=tenant_id, subject=run, seq=1, at=at)
