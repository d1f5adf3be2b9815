"""Lists as Python-Markdown reads them: what belongs to an item is indented by four columns, in GitHub by its marker."""

import re
from collections.abc import Iterator, Sequence

INDENT = " " * 4

_ITEM = re.compile(r"^(?P<marker>(?:[*+-]|\d+\.) +)\S")
_FENCE = "```"


def indent_items(text: str) -> str:
    """Return Markdown in which the lines of each list item, and of the lists in it, are indented by four columns."""
    return "\n".join(_indent(text.split("\n")))


def _indent(lines: Sequence[str]) -> Iterator[str]:
    position = 0
    while position < len(lines):
        if lines[position].startswith(_FENCE):
            end = _end_of_fence(lines, position)
            yield from lines[position:end]
        elif item := _ITEM.match(lines[position]):
            width = len(item["marker"])
            end = _end_of_item(lines, position, width=width)
            content = [line[width:] for line in lines[position + 1 : end]]
            yield lines[position]
            yield from (INDENT + line if line else line for line in _indent(content))
            if "" in content:
                yield ""  # the next item would continue the last paragraph
        else:
            end = position + 1
            yield lines[position]
        position = end


def _end_of_fence(lines: Sequence[str], start: int) -> int:
    closing = (index for index in range(start + 1, len(lines)) if lines[index].startswith(_FENCE))
    return next(closing, len(lines) - 1) + 1


def _end_of_item(lines: Sequence[str], start: int, *, width: int) -> int:
    """Return the line after an item; empty lines after its last one do not belong to it."""
    end = start + 1
    for index in range(start + 1, len(lines)):
        if lines[index].startswith(" " * width):
            end = index + 1
        elif lines[index].strip():
            break
    return end
