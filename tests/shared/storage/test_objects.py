"""Documents below their tenant's prefix, and payloads that may be too large for an item."""

import gzip
import hashlib
import io
import json
import re
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from shared.errors import DependencyUnavailable
from shared.freejson import MAX_INTEGER, MIN_INTEGER
from shared.storage.items import Reader
from shared.storage.objects import Archives, Artifacts
from shared.storage.payloads import MAX_INLINE_BYTES, Payloads
from shared.stored import Stored
from tests.shared.storage.scripted import failure


@dataclass
class FakeBucket:
    """A bucket in memory, which can be made to fail."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    error: Exception | None = None
    locked: set[str] = field(default_factory=set[str])

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """Keep it."""
        if self.error:
            raise self.error
        self.objects[arguments["Key"]] = arguments["Body"]

    def get_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Give it back."""
        if self.error:
            raise self.error
        if arguments["Key"] not in self.objects:
            code = "NoSuchKey"
            raise failure(code, "GetObject")
        return {"Body": io.BytesIO(self.objects[arguments["Key"]])}

    def list_object_versions(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Two at a time; versions are kept of nothing."""
        if self.error:
            raise self.error
        found = [key for key in self.objects if key.startswith(arguments["Prefix"])]
        return {"Versions": [{"Key": key, "VersionId": "null"} for key in found[:2]]} if found else {}

    def delete_objects(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Remove them, but for those that are locked."""
        keys = [entry["Key"] for entry in arguments["Delete"]["Objects"]]
        for key in keys:
            if key not in self.locked:
                del self.objects[key]
        kept = [{"Key": key} for key in keys if key in self.locked]
        return {"Errors": kept} if kept else {}

    def generate_presigned_url(self, method: str, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Where it would be."""
        return f"https://bucket/{arguments['Params']['Key']}?{method}&{arguments['ExpiresIn']}"


def documents() -> tuple[Artifacts, FakeBucket]:
    bucket = FakeBucket()
    return Artifacts(bucket, bucket="artifacts"), bucket


class TestDocuments:
    def test_lie_below_their_tenants_prefix(self) -> None:
        kept, bucket = documents()
        stored = kept.write("acme", "agents/agt_1/versions/1.json", {"model": "gpt-4"})
        assert stored.key == "tenants/acme/agents/agt_1/versions/1.json"
        assert stored.sha256 == hashlib.sha256(bucket.objects[stored.key]).hexdigest()

    def test_come_back(self) -> None:
        kept, _ = documents()
        document = {"b": [1, None, "é\u2028"], "a": {"x": True}}
        assert kept.read("acme", kept.write("acme", "x.json", document)) == document

    def test_the_same_content_has_the_same_hash(self) -> None:
        kept, _ = documents()
        one = kept.write("acme", "1.json", {"a": 1, "b": 2})
        other = kept.write("acme", "2.json", {"b": 2, "a": 1})
        assert one.sha256 == other.sha256

    def test_something_else_under_the_key_is_not_given_out(self) -> None:
        kept, bucket = documents()
        stored = kept.write("acme", "x.json", {"a": 1})
        bucket.objects[stored.key] = b'{"a":2}'
        with pytest.raises(DependencyUnavailable):
            kept.read("acme", stored)

    @pytest.mark.parametrize("key", ["tenants/other/x.json", "tenants/acme2/x.json", "tenants/acme", "x.json"])
    def test_another_tenants_is_never_asked_for(self, key: str) -> None:
        kept, bucket = documents()
        bucket.error = AssertionError()
        with pytest.raises(ValueError, match="not of this tenant"):
            kept.read("acme", Stored(key, "hash"))

    def test_can_be_downloaded_from_an_address(self) -> None:
        kept, _ = documents()
        address = kept.address("acme", kept.write("acme", "x.json", {}), lasts_s=60)
        assert address == "https://bucket/tenants/acme/x.json?get_object&60"
        with pytest.raises(ValueError, match="not of this tenant"):
            kept.address("acme", Stored("tenants/acme2/x.json", "hash"), lasts_s=60)

    def test_all_below_a_folder_can_be_removed_and_nothing_else(self) -> None:
        kept, bucket = documents()
        for path in ("runs/run_1/a", "runs/run_1/b", "runs/run_1/c/d", "runs/run_12/a", "agents/a"):
            kept.write("acme", path, {})
        kept.write("acme2", "runs/run_1/a", {})
        assert kept.delete_below("acme", "runs/run_1") == 3
        assert sorted(bucket.objects) == [
            "tenants/acme/agents/a",
            "tenants/acme/runs/run_12/a",
            "tenants/acme2/runs/run_1/a",
        ]
        assert kept.delete_below("acme", "runs/run_1") == 0

    def test_one_that_cannot_be_removed_is_said(self) -> None:
        kept, bucket = documents()
        bucket.locked.add(kept.write("acme", "runs/run_1/a", {}).key)
        with pytest.raises(DependencyUnavailable):
            kept.delete_below("acme", "runs/run_1")

    @pytest.mark.parametrize(
        "error", [failure("SlowDown"), EndpointConnectionError(endpoint_url="https://bucket.invalid")]
    )
    def test_a_bucket_that_does_not_answer_is_said(self, error: Exception) -> None:
        kept, bucket = documents()
        bucket.error = error
        with pytest.raises(DependencyUnavailable):
            kept.write("acme", "x.json", {})
        with pytest.raises(DependencyUnavailable):
            kept.read("acme", Stored("tenants/acme/x.json", "hash"))
        with pytest.raises(DependencyUnavailable):
            kept.delete_below("acme", "runs/run_1")

    def test_one_that_is_not_there_is_said(self) -> None:
        with pytest.raises(DependencyUnavailable):
            documents()[0].read("acme", Stored("tenants/acme/x.json", "hash"))


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


class TestPayloads:
    @pytest.mark.parametrize(
        "text", ['"\\ud800"', '"\\u0000"', "NaN", "1e400", "9" * 4_000, '{"a":' * 900 + "1" + "}" * 900]
    )
    def test_small_ones_that_are_older_than_the_rules_can_be_written_again(self, text: str) -> None:
        stored = Reader({"json": f'{{"old":{text}}}'})
        for read in (Payloads(documents()[0]).unpack("acme", stored), Payloads(documents()[0]).name(stored)):
            json.dumps(read, allow_nan=False, ensure_ascii=False).encode()
            TypeAdapter(dict[str, Any]).dump_json(read)

    def test_documents_that_are_older_than_the_rules_can_be_written_again(self) -> None:
        kept, bucket = documents()
        body = b'{"a":' * 300 + b'"\\ud800"' + b"}" * 300
        bucket.objects["tenants/acme/x.json"] = body
        read = kept.read("acme", Stored("tenants/acme/x.json", hashlib.sha256(body).hexdigest()))
        TypeAdapter(dict[str, Any]).dump_json(read)

    @pytest.mark.parametrize(("extra_bytes", "in_the_bucket"), [(0, False), (1, True)])
    def test_over_64_kb_lie_in_the_bucket(self, extra_bytes: int, *, in_the_bucket: bool) -> None:
        kept, bucket = documents()
        # `{"t":""}` is 8 bytes; é is two bytes in one character.
        payload = {"t": "é" * ((MAX_INLINE_BYTES - 8) // 2) + "x" * extra_bytes}
        attribute = Payloads(kept).pack("acme", "runs/run_1/inputs", payload)
        assert ("key" in attribute) is in_the_bucket
        assert len(bucket.objects) == in_the_bucket
        assert all(re.fullmatch(r"tenants/acme/runs/run_1/inputs-[0-9a-f]{16}\.json", key) for key in bucket.objects)
        assert Payloads(kept).unpack("acme", Reader(attribute)) == payload

    def test_another_content_is_another_object(self) -> None:
        kept, _ = documents()
        payloads = [{"t": letter * MAX_INLINE_BYTES} for letter in "ab"]
        packed = [Payloads(kept).pack("acme", "runs/run_1/output", payload) for payload in payloads]
        assert [Payloads(kept).unpack("acme", Reader(one)) for one in packed] == payloads

    @given(st.dictionaries(TEXTS, NUMBERS | TEXTS | st.none() | st.lists(st.integers(MIN_INTEGER, MAX_INTEGER))))
    def test_small_ones_come_back_exactly(self, payload: dict[str, Any]) -> None:
        kept, bucket = documents()
        packed = Payloads(kept).pack("acme", "x.json", payload)
        assert Payloads(kept).unpack("acme", Reader(packed)) == payload
        assert json.loads(str(packed["json"])) == payload
        assert bucket.objects == {}

    def test_large_ones_are_named_without_being_read(self) -> None:
        kept, bucket = documents()
        packed = Payloads(kept).pack("acme", "x", {"t": "x" * MAX_INLINE_BYTES})
        bucket.error = AssertionError()
        assert Payloads(kept).name(Reader(packed)) == {"artifact": {"bytes": MAX_INLINE_BYTES + 8}}
        assert Payloads(kept).name(Reader({"json": '{"t":1}'})) == {"t": 1}

    def test_a_large_one_of_another_tenant_is_not_read(self) -> None:
        kept, _ = documents()
        packed = Payloads(kept).pack("acme", "x.json", {"t": "x" * MAX_INLINE_BYTES})
        with pytest.raises(ValueError, match="not of this tenant"):
            Payloads(kept).unpack("other", Reader(packed))


class TestArchives:
    def test_are_lines_of_json_below_the_tenants_prefix_and_the_same_when_written_again(self) -> None:
        _, bucket = documents()
        records = [{"n": 1}, {"t": "é"}]
        written: list[bytes] = []
        for _ in range(2):
            Archives(bucket, bucket="artifacts").write("acme", "usage/1.jsonl.gz", records)
            written.append(bucket.objects["tenants/acme/usage/1.jsonl.gz"])
        assert written[0] == written[1]
        assert [json.loads(line) for line in gzip.decompress(written[0]).decode().splitlines()] == records
