"""The cost limit of a run, applied as a cap on the output tokens of its calls."""

from collections.abc import Callable


def affordable_tokens(cap_tokens: int, *, left_nano_usd: int, max_nano_usd: Callable[[int], int]) -> int:
    """Return the largest output cap with which a call cannot cost more than is left, at most the given one.

    Args:
        cap_tokens: the cap without a cost limit.
        left_nano_usd: the amount that the run may still cost.
        max_nano_usd: the maximum cost of a call by its output tokens; it must not decrease.

    Returns:
        0 if not even the input fits.
    """
    if max_nano_usd(cap_tokens) <= left_nano_usd:
        return cap_tokens
    fits, too_long = 0, cap_tokens
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if max_nano_usd(middle) <= left_nano_usd:
            fits = middle
        else:
            too_long = middle
    return fits
