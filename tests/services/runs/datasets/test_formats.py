"""The formats of uploads."""

import gzip
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.runs.datasets.consumer import check_inputs
from services.runs.datasets.domain.dataset import MAX_ERRORS, MAX_ITEMS, FieldMapping, LineError, UploadFormat
from services.runs.datasets.domain.formats import UploadReader, lines_of
from services.runs.datasets.domain.items import MAX_ITEM_BYTES, Item, items_of
from services.runs.datasets.gateway import compress, span_of

JSONL, CSV, EVALS = UploadFormat


def read(
    content: str | bytes, upload_format: UploadFormat = JSONL, mapping: FieldMapping | None = None
) -> tuple[list[Item], list[LineError]]:
    """Return the items and the errors of a file."""
    reader = UploadReader(upload_format, mapping or FieldMapping(), check_inputs)
    body = content.encode() if isinstance(content, str) else content
    return list(reader.read([body])), reader.errors


def lines(*records: object) -> str:
    """Return records as JSON lines."""
    return "".join(json.dumps(record) + "\n" for record in records)


class TestLines:
    @settings(deadline=None)
    @given(st.lists(st.binary(max_size=8).filter(lambda line: b"\n" not in line), max_size=8), st.integers(1, 7))
    def test_are_the_same_in_chunks_of_any_size(self, wanted: list[bytes], size: int) -> None:
        content = b"\n".join(wanted)
        chunks = [content[start : start + size] for start in range(0, len(content), size)]
        expected = wanted[:-1] if wanted and not wanted[-1] else wanted
        assert list(lines_of(chunks)) == expected

    def test_that_are_too_long_are_not_kept(self) -> None:
        def chunks() -> Iterator[bytes]:
            yield from (b"x" * 65_536 for _ in range(MAX_ITEM_BYTES // 65_536 + 1))
            yield b"x\n{}\n"

        assert list(lines_of(chunks())) == [None, b"{}"]


class TestJsonLines:
    def test_become_items_with_stable_ids(self) -> None:
        content = lines({"input": "Hi", "expected": {"a": 1}}, {"inputs": {"message": "Hi"}, "item_id": "mine"})
        [first, second], errors = read(content)
        assert errors == []
        assert (first.inputs, first.expected) == ({"message": "Hi"}, {"a": 1})
        assert second.item_id == "mine"
        assert read(content)[0][0].item_id == first.item_id

    def test_with_the_same_inputs_have_different_ids(self) -> None:
        items, errors = read(lines({"input": "Hi"}, {"input": "Hi"}))
        assert errors == []
        assert items[1].item_id == f"{items[0].item_id}-2"

    def test_take_conversations(self) -> None:
        messages = [{"role": "user", "content": "Hi"}]
        [item], _ = read(lines({"input": messages}))
        assert item.inputs == {"messages": messages}

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("{", "is not JSON"),
            ("[]", "must be a JSON object"),
            ('{"expected": 1}', "either input or inputs"),
            ('{"input": "a", "inputs": {}}', "either input or inputs"),
            ('{"input": "a", "other": 1}', "other is not a known field"),
            ('{"inputs": {"message": 1}}', "message must be a text"),
            ('{"input": "a", "item_id": "a b"}', "item_id must match"),
            ('{"input": "a", "metadata": []}', None),
            ('{"input": "a", "metadata": [1]}', "metadata must be an object"),
            ('{"input": "a", "expected": ' + "[" * 80 + "]" * 80 + "}", "nested deeper"),
        ],
    )
    def test_are_refused_with_their_number(self, line: str, message: str | None) -> None:
        _, errors = read(f'{{"input": "good"}}\n\n{line}\n')
        assert [error.line for error in errors] == ([3] if message else [])
        assert message is None or message in errors[0].message

    def test_refuse_an_id_that_is_used_twice(self) -> None:
        _, errors = read(lines({"input": "a", "item_id": "x"}, {"input": "b", "item_id": "x"}))
        assert errors == [LineError(2, "The item_id x is used by an earlier line.")]

    def test_report_the_first_hundred_errors(self) -> None:
        _, errors = read("{\n" * 500)
        assert [error.line for error in errors] == list(range(1, MAX_ERRORS + 1))

    def test_refuse_more_items_than_a_version_can_have(self) -> None:
        _, errors = read("".join(f'{{"input": "{number}"}}\n' for number in range(MAX_ITEMS + 1)))
        assert [error.line for error in errors] == [MAX_ITEMS + 1]

    def test_refuse_an_empty_file(self) -> None:
        assert read("\n\n")[1] == [LineError(0, "The file has no items.")]

    def test_refuse_bytes_that_are_no_text(self) -> None:
        assert [error.line for error in read(b'{"input": "a"}\n{"input": "\xff"}\n')[1]] == [2]


class TestCsv:
    def test_has_its_fields_in_the_header(self) -> None:
        content = '\ufeffinput,expected,metadata.topic,item_id\n"Write ""hi"",\nplease",hi,greeting,a1\nBye,,,\n'
        items, errors = read(content, CSV)
        assert errors == []
        assert items[0] == Item("a1", {"message": 'Write "hi",\nplease'}, "hi", {"topic": "greeting"})
        assert (items[1].inputs, items[1].expected, items[1].metadata) == ({"message": "Bye"}, "", {})

    @pytest.mark.parametrize("header", ["question,answer", "input,other", "input,input", "expected", "input,metadata."])
    def test_refuses_an_unknown_header(self, header: str) -> None:
        items, errors = read(f"{header}\na,b\n", CSV)
        assert (items, [error.line for error in errors]) == ([], [1])

    def test_names_the_line_of_a_row_with_other_fields(self) -> None:
        _, errors = read('input,expected\n"a\nb",1\nc\nd,1\n', CSV)
        assert errors == [LineError(4, "The row has 1 fields, and the header 2.")]

    def test_refuses_a_quote_that_never_ends(self) -> None:
        _, errors = read('input\n"' + "x" * 200_000 + "\n", CSV)
        assert errors[0].line == 2

    def test_refuses_a_line_that_is_too_long(self) -> None:
        _, errors = read("input\n" + "x" * (MAX_ITEM_BYTES + 1) + "\nok\n", CSV)
        assert errors[0].line == 2


class TestOpenAiEvals:
    def test_are_read_by_their_mapping(self) -> None:
        mapping = FieldMapping("question", "answer", "id", ("topic",))
        line = {"item": {"question": "1+1?", "answer": "2", "id": 7, "topic": "sum", "other": 1}}
        items, errors = read(lines(line), EVALS, mapping)
        assert errors == []
        assert items == [Item("7", {"message": "1+1?"}, "2", {"topic": "sum"})]

    def test_of_the_older_form_need_no_mapping(self) -> None:
        messages = [{"role": "system", "content": "Add."}, {"role": "user", "content": "1+1?"}]
        [item], errors = read(lines({"input": messages, "ideal": ["2", "two"]}), EVALS)
        assert errors == []
        assert (item.inputs, item.expected) == ({"messages": messages}, ["2", "two"])

    def test_without_the_field_of_the_input_are_refused(self) -> None:
        _, errors = read(lines({"item": {"question": "1+1?"}}), EVALS)
        assert "The field input is missing" in errors[0].message


class TestBlocks:
    @settings(deadline=None)
    @given(st.integers(1, 350), st.integers(0, 349), st.integers(1, 120))
    def test_contain_the_items_of_a_page(self, total: int, first: int, count: int) -> None:
        items = [Item(f"i{number}", {"message": str(number)}) for number in range(total)]
        if first >= total:
            return
        stored = compress(iter(items))
        start, end, skipped = span_of(stored.offsets, first=first, count=count)
        found = list(items_of(gzip.decompress(stored.content[start:end])))
        assert found[skipped : skipped + count] == items[first : first + count]
