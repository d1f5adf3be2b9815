"""A chart of the load test: users, requests per second and response times."""

from collections.abc import Callable, Iterator, Sequence

from bench.load.notes import Note, percentile
from bench.load.stages import STAGES, users_at

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 720, 130, 60, 30, 50
_EVERY_S = 5
"""The interval that one point of a line covers."""
_SECONDS = sum(stage.seconds for stage in STAGES)

Points = list[tuple[float, float]]


def svg(notes: Sequence[Note]) -> str:
    """Return an SVG image of three charts, one below the other, with the stages marked."""
    panels = (
        ("users", [("#555", _points(notes, lambda _, second: users_at(second)))]),
        ("requests a second", [("#1f77b4", _points(notes, lambda some, _: len(some) / _EVERY_S))]),
        ("ms: p50, p95", [("#2ca02c", _times(notes, 50)), ("#d62728", _times(notes, 95))]),
    )
    height = _TOP + len(panels) * (_HEIGHT + _GAP)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 20} {height}" font-family="sans-serif"'
    )
    body = (line for index, (name, lines) in enumerate(panels) for line in _panel(index, name, lines))
    return (
        "\n".join([f'{head} font-size="12">', '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>"])
        + "\n"
    )


def _points(notes: Sequence[Note], value: Callable[[Sequence[Note], float], float]) -> Points:
    parts = [[note for note in notes if begin <= note.second < begin + _EVERY_S] for begin in _begins()]
    return [(begin + _EVERY_S / 2, value(part, begin)) for begin, part in zip(_begins(), parts, strict=True)]


def _times(notes: Sequence[Note], percent: int) -> Points:
    return _points(notes, lambda some, _: percentile([note.ms for note in some], percent))


def _begins() -> range:
    return range(0, _SECONDS, _EVERY_S)


def _panel(index: int, name: str, lines: Sequence[tuple[str, Points]]) -> Iterator[str]:
    top = _TOP + index * (_HEIGHT + _GAP)
    maximum = max((y for _, points in lines for _, y in points), default=0) or 1
    yield f'<text x="{_LEFT}" y="{top - 8}" font-weight="bold">{name}</text>'
    yield from _frame(top, maximum)
    for color, points in lines:
        path = " ".join(f"{_x(x):.1f},{top + _HEIGHT * (1 - y / maximum):.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'


def _frame(top: int, maximum: float) -> Iterator[str]:
    yield f'<rect x="{_LEFT}" y="{top}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#ccc"/>'
    yield f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{maximum:.0f}</text>'
    yield f'<text x="{_LEFT - 6}" y="{top + _HEIGHT}" text-anchor="end">0</text>'
    begin = 0
    for stage in STAGES:
        x = _x(begin)
        yield f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{top + _HEIGHT}" stroke="#ddd"/>'
        yield f'<text x="{x + 3:.1f}" y="{top + _HEIGHT + 14}" fill="#777">{stage.name}</text>'
        begin += stage.seconds


def _x(seconds: float) -> float:
    return _LEFT + _WIDTH * seconds / _SECONDS
