"""Differences between versions."""

import jsonpatch
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.agents.diffs.domain import MAX_COMPARED_LINES, document_diff, text_diff

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(st.text(max_size=3), JSON, max_size=5)


def diff(before: str, after: str) -> list[str]:
    return text_diff(before, after, before_name="version 1", after_name="version 2").splitlines()


class TestTextDiff:
    def test_is_unified(self) -> None:
        assert diff("a\nb\nc\n", "a\nx\nc\n") == [
            "--- version 1",
            "+++ version 2",
            "@@ -1,3 +1,3 @@",
            " a",
            "-b",
            "+x",
            " c",
        ]

    def test_of_equal_texts_is_empty(self) -> None:
        assert diff("a\nb", "a\nb") == []

    def test_marks_a_missing_line_break(self) -> None:
        lines = diff("a", "b")
        assert lines[-4:] == ["-a", "\\ No newline at end of file", "+b", "\\ No newline at end of file"]

    @pytest.mark.parametrize("place", ["start", "middle", "end"])
    def test_of_many_lines_is_one_hunk_with_the_right_numbers(self, place: str) -> None:
        equal = [f"equal {number}\n" for number in range(10)]
        old, new = ([f"{name} {number}\n" for number in range(MAX_COMPARED_LINES + 1)] for name in ("old", "new"))
        before, after = equal if place != "start" else [], equal if place != "end" else []
        lines = diff("".join([*before, *old, *after]), "".join([*before, *new, *after]))
        hunks = [line for line in lines if line.startswith("@@")]
        context = 3 * (bool(before) + bool(after))
        first = 8 if before else 1
        size = MAX_COMPARED_LINES + 1 + context
        assert hunks == [f"@@ -{first},{size} +{first},{size} @@"]
        assert len(lines) == 3 + context + 2 * (MAX_COMPARED_LINES + 1)


class TestDocumentDiff:
    @given(DOCUMENTS, DOCUMENTS)
    def test_changes_one_document_into_the_other(self, before: dict[str, object], after: dict[str, object]) -> None:
        assert jsonpatch.apply_patch(before, document_diff(before, after)) == after

    def test_of_equal_documents_is_empty(self) -> None:
        assert document_diff({"a": [1]}, {"a": [1]}) == []
