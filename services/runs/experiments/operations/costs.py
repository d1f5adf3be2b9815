"""The costs of trials, in integers."""

from collections.abc import Sequence

from services.runs.experiments.domain.trials import Trial


def cost_of(trials: Sequence[Trial], *, variant: int | None = None) -> int:
    """Return the known costs of trials in nano-USD, of all variants or of one."""
    return sum(trial.cost_nano_usd or 0 for trial in trials if variant in {None, trial.variant})


def needed_nano_usd(trials: Sequence[Trial], *, items: int, needed_items: int | None) -> int | None:
    """Return the cost of the further items that would decide a verdict, at the mean cost of those so far."""
    counted = len({trial.item for trial in trials})
    if needed_items is None or not counted:
        return None
    return -(-max(0, needed_items - items) * cost_of(trials) // counted)


def usd_text(nano_usd: int) -> str:
    """Return an amount in USD with six decimal places."""
    micro_usd = nano_usd // 1_000
    return f"{micro_usd // 1_000_000}.{micro_usd % 1_000_000:06}"
