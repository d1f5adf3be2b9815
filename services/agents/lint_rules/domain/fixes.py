"""Application of the fixes of findings to a document."""

import re
from collections.abc import Collection, Iterable, Mapping
from copy import deepcopy
from typing import Any, cast

from services.agents.lint_rules.domain.engine import LocatedHit, identified, pointer_of, text_at
from services.agents.lint_rules.domain.finding import PatchOperation

_LAST_NUMBER = re.compile(r"/([0-9]+)$")


class FixUnknown(Exception):
    """No finding of the document has this id.

    Args:
        finding_id: the id.
    """

    def __init__(self, finding_id: str) -> None:
        super().__init__(finding_id)
        self.finding_id = finding_id


class NotFixable(FixUnknown):
    """The finding has no fix that can be applied without a person."""


def fixed(document: Mapping[str, Any], found: Iterable[LocatedHit], finding_ids: Collection[str]) -> dict[str, Any]:
    """Return a document with the fixes of these findings applied.

    Args:
        document: the config, or `{"template": …}` of a prompt.
        found: the hits in this document.
        finding_ids: the ids of the findings.

    Raises:
        FixUnknown: the document has no such finding.
        NotFixable: a finding has no fix.
    """
    by_id = dict(identified(found))
    chosen = [_chosen(by_id, finding_id) for finding_id in dict.fromkeys(finding_ids)]
    operations = [*_edits(chosen), *(operation for _, _, hit in chosen for operation in hit.fix)]
    return _patched(document, sorted(operations, key=_order))


def _chosen(by_id: Mapping[str, LocatedHit], finding_id: str) -> LocatedHit:
    if finding_id not in by_id:
        raise FixUnknown(finding_id)
    _, view, hit = found = by_id[finding_id]
    if view.is_stored or (hit.edit is None and not hit.fix):
        raise NotFixable(finding_id)
    return found


def _edits(chosen: Iterable[LocatedHit]) -> Iterable[PatchOperation]:
    """Return one replacement of each edited text, from its last edit to its first; overlapping ones are left out."""
    edits: dict[str, list[LocatedHit]] = {}
    for found in chosen:
        if found[2].edit is not None:
            edits.setdefault(pointer_of(found[1], found[2]), []).append(found)
    for pointer, of_text in edits.items():
        text, limit = text_at(of_text[0][1], of_text[0][2]) or "", None
        for _, _, hit in sorted(of_text, key=lambda found: found[2].start, reverse=True):
            if limit is None or hit.end <= limit:
                text = text[: hit.start] + str(hit.edit) + text[hit.end :]
                limit = hit.start
        yield {"op": "replace", "path": pointer, "value": text}


def _order(operation: PatchOperation) -> tuple[int, int]:
    """Return the place of an operation: removals come last, from the end of an array, so that no pointer moves."""
    if operation["op"] != "remove":
        return 0, 0
    number = _LAST_NUMBER.search(str(operation["path"]))
    return 1, -int(number[1]) if number else 0


def _patched(document: Mapping[str, Any], operations: list[PatchOperation]) -> dict[str, Any]:
    import jsonpatch

    changed = jsonpatch.apply_patch(deepcopy(dict(document)), [dict(one) for one in operations])
    return {name: value for name, value in cast("dict[str, Any]", changed).items() if value not in ([], None)}
