"""Problems that users of similar systems have reported in public.

Each row is one kind of problem. Its tests have the marker `@pytest.mark.report(row)`, and
tests/architecture/test_reports.py checks that every row has one.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

Row = int | str

ROWS: dict[Row, str] = {
    20: "response schemas, tool parameters and patterns that cannot be used are refused when an agent is created",
    21: "a waited run returns in time, also under load",
    22: "media types are compared without case and parameters; merge patches are accepted; others return 415",
    23: "an Idempotency-Key that is empty or too long returns 400",
    24: "addresses are normalized; invisible and bidirectional characters are refused",
    25: "ranges of days take dates only, and lists with `pagination` take `limit` and `next_token`",
    26: "control characters in ids, names and metadata keys are refused",
    27: "`make up` leaves users and a price list",
    28: "a platform admin can list all tenants",
}
"""The promised behavior by row."""


def marked_rows(folder: Path) -> dict[Row, list[str]]:
    """Return the marked tests and classes by row, each as `path:name`."""
    found: dict[Row, list[str]] = {}
    for path in sorted(folder.rglob("test_*.py")):
        for name, row in _marks(ast.parse(path.read_text())):
            found.setdefault(row, []).append(f"{path.relative_to(folder)}:{name}")
    return found


def _marks(tree: ast.Module) -> Iterator[tuple[str, Row]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from ((node.name, row) for decorator in node.decorator_list for row in _rows(decorator))


def _rows(decorator: ast.expr) -> Iterator[Row]:
    match decorator:
        case ast.Call(func=ast.Attribute(attr="report"), args=arguments):
            yield from (ast.literal_eval(argument) for argument in arguments)
        case _:
            return
