"""Problems that users of similar systems have reported in public.

Each row is one kind of problem. Its tests have the marker `@pytest.mark.report(row)`, and
tests/architecture/test_reports.py checks that every row has one.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

Row = int | str

ROWS: dict[Row, str] = {
    1: "streamed tool calls are kept apart, and arguments that are no JSON object fail the call",
    2: "opaque extras of a tool call, such as thought signatures of Gemini, are sent back unchanged",
    3: "`reasoning_content` is sent back with the outputs of tools",
    4: "thinking blocks and their signatures are sent back in order, and never shown",
    5: "hosts of Azure OpenAI and of OpenAI's regions get the right parameters, key and price",
    6: "parameters that a model refuses are left out with a warning, or asked once more without",
    7: "open schemas are closed for strict mode where that keeps their meaning",
    8: "halves of a surrogate pair are joined",
    9: "usage is an attribute of `chat` spans only",
    10: "prefixes and families name the provider; other names are refused with the nearest ones",
    11: "inference profiles of Bedrock are recognized and priced as their model",
    12: "cache writes for one hour have their own price, and their own meter in events and the ledger",
    13: "a config may have the tenant's own price of its model",
    14: "cumulative usage is counted once",
    "14a": "simulated answers cost what the replaced provider would charge",
    15: "simulated answers fit the response schema, and simulated arguments fit the tool",
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
