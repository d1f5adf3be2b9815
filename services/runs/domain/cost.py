"""What a run may cost, as a cap on its answers."""

from collections.abc import Callable


def longest_answer(wanted_tokens: int, *, left_nano_usd: int, most_nano_usd: Callable[[int], int]) -> int:
    """The largest output cap, up to the one that is wanted, with which a call cannot cost more than is left.

    Args:
        wanted_tokens: the cap without that.
        left_nano_usd: what the run may still cost.
        most_nano_usd: what a call can cost whose answer has so many tokens; more for more.

    Returns:
        0 when not even the input fits.
    """
    if most_nano_usd(wanted_tokens) <= left_nano_usd:
        return wanted_tokens
    fits, too_long = 0, wanted_tokens
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if most_nano_usd(middle) <= left_nano_usd:
            fits = middle
        else:
            too_long = middle
    return fits
