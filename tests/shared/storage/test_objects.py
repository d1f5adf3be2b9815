"""Documents are stored below their tenant's prefix, and so are payloads over 64 KB."""

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

from shared.document_ref import DocumentRef
from shared.errors import DependencyUnavailable
from shared.freejson import MAX_INTEGER, MIN_INTEGER
from shared.storage.items import Reader
from shared.storage.objects import Archives, Artifacts, Documents
from shared.storage.payloads import MAX_INLINE_BYTES, Payloads
from tests.shared.storage.scripted_database import failure


@dataclass
class FakeBucket:
    """A bucket in memory with configurable failures."""

    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    error: Exception | None = None
    locked: set[str] = field(default_factory=set[str])

    def put_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore
        """Store an object."""
        if self.error:
            raise self.error
        self.objects[arguments["Key"]] = arguments["Body"]

    def get_object(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Return an object."""
        if self.error:
            raise self.error
        if arguments["Key"] not in self.objects:
            code = "NoSuchKey"
            raise failure(code, "GetObject")
        return {"Body": io.BytesIO(self.objects[arguments["Key"]])}

    def list_object_versions(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Return a page of two objects. Old versions are not stored."""
        if self.error:
            raise self.error
        found = [key for key in self.objects if key.startswith(arguments["Prefix"])]
        return {"Versions": [{"Key": key, "VersionId": "null"} for key in found[:2]]} if found else {}

    def delete_objects(self, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Delete the objects except the locked ones."""
        keys = [entry["Key"] for entry in arguments["Delete"]["Objects"]]
        for key in keys:
            if key not in self.locked:
                del self.objects[key]
        errors = [{"Key": key} for key in keys if key in self.locked]
        return {"Errors": errors} if errors else {}

    def generate_presigned_url(self, method: str, **arguments: Any) -> Any:  # noqa: ANN401 — as above
        """Return a fake URL."""
        return f"https://bucket/{arguments['Params']['Key']}?{method}&{arguments['ExpiresIn']}"


def new_artifacts() -> tuple[Artifacts, FakeBucket]:
    bucket = FakeBucket()
    return Artifacts(bucket, bucket="artifacts"), bucket


class TestArtifacts:
    def test_are_stored_below_the_tenants_prefix(self) -> None:
        artifacts, bucket = new_artifacts()
        stored = artifacts.write("acme", "agents/agt_1/versions/1.json", {"model": "gpt-4"})
        assert stored.key == "tenants/acme/agents/agt_1/versions/1.json"
        assert stored.sha256 == hashlib.sha256(bucket.objects[stored.key]).hexdigest()

    def test_round_trip(self) -> None:
        artifacts, _ = new_artifacts()
        document = {"b": [1, None, "é\u2028"], "a": {"x": True}}
        assert artifacts.read("acme", artifacts.write("acme", "x.json", document)) == document

    def test_with_equal_content_have_equal_hashes(self) -> None:
        artifacts, _ = new_artifacts()
        first_ref = artifacts.write("acme", "1.json", {"a": 1, "b": 2})
        second_ref = artifacts.write("acme", "2.json", {"a": 1, "b": 2})
        assert first_ref.sha256 == second_ref.sha256

    def test_with_another_hash_are_refused(self) -> None:
        artifacts, bucket = new_artifacts()
        stored = artifacts.write("acme", "x.json", {"a": 1})
        bucket.objects[stored.key] = b'{"a":2}'
        with pytest.raises(DependencyUnavailable):
            artifacts.read("acme", stored)

    @pytest.mark.parametrize("key", ["tenants/other/x.json", "tenants/acme2/x.json", "tenants/acme", "x.json"])
    def test_of_another_tenant_are_refused_without_a_request(self, key: str) -> None:
        artifacts, bucket = new_artifacts()
        bucket.error = AssertionError()
        with pytest.raises(ValueError, match="not of this tenant"):
            artifacts.read("acme", DocumentRef(key, "hash"))

    def test_have_a_presigned_url(self) -> None:
        artifacts, _ = new_artifacts()
        address = artifacts.address("acme", artifacts.write("acme", "x.json", {}), lasts_s=60)
        assert address == "https://bucket/tenants/acme/x.json?get_object&60"
        with pytest.raises(ValueError, match="not of this tenant"):
            artifacts.address("acme", DocumentRef("tenants/acme2/x.json", "hash"), lasts_s=60)

    def test_are_deleted_only_below_the_folder(self) -> None:
        artifacts, bucket = new_artifacts()
        for path in ("runs/run_1/a", "runs/run_1/b", "runs/run_1/c/d", "runs/run_12/a", "agents/a"):
            artifacts.write("acme", path, {})
        artifacts.write("acme2", "runs/run_1/a", {})
        assert artifacts.delete_below("acme", "runs/run_1") == 3
        assert sorted(bucket.objects) == [
            "tenants/acme/agents/a",
            "tenants/acme/runs/run_12/a",
            "tenants/acme2/runs/run_1/a",
        ]
        assert artifacts.delete_below("acme", "runs/run_1") == 0

    def test_raise_if_an_object_cannot_be_deleted(self) -> None:
        artifacts, bucket = new_artifacts()
        bucket.locked.add(artifacts.write("acme", "runs/run_1/a", {}).key)
        with pytest.raises(DependencyUnavailable):
            artifacts.delete_below("acme", "runs/run_1")

    @pytest.mark.parametrize(
        "error", [failure("SlowDown"), EndpointConnectionError(endpoint_url="https://bucket.invalid")]
    )
    def test_raise_if_the_bucket_is_unavailable(self, error: Exception) -> None:
        artifacts, bucket = new_artifacts()
        bucket.error = error
        with pytest.raises(DependencyUnavailable):
            artifacts.write("acme", "x.json", {})
        with pytest.raises(DependencyUnavailable):
            artifacts.read("acme", DocumentRef("tenants/acme/x.json", "hash"))
        with pytest.raises(DependencyUnavailable):
            artifacts.delete_below("acme", "runs/run_1")

    def test_raise_if_the_object_is_missing(self) -> None:
        with pytest.raises(DependencyUnavailable):
            new_artifacts()[0].read("acme", DocumentRef("tenants/acme/x.json", "hash"))


TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


class TestPayloads:
    @pytest.mark.parametrize(
        "text", ['"\\ud800"', '"\\u0000"', "NaN", "1e400", "9" * 4_000, '{"a":' * 900 + "1" + "}" * 900]
    )
    def test_in_items_can_be_serialized_if_they_predate_the_rules(self, text: str) -> None:
        stored = Reader({"json": f'{{"old":{text}}}'})
        for read in (Payloads(new_artifacts()[0]).unpack("acme", stored), Payloads(new_artifacts()[0]).name(stored)):
            json.dumps(read, allow_nan=False, ensure_ascii=False).encode()
            TypeAdapter(dict[str, Any]).dump_json(read)

    def test_in_documents_can_be_serialized_if_they_predate_the_rules(self) -> None:
        artifacts, bucket = new_artifacts()
        body = b'{"a":' * 300 + b'"\\ud800"' + b"}" * 300
        bucket.objects["tenants/acme/x.json"] = body
        read = artifacts.read("acme", DocumentRef("tenants/acme/x.json", hashlib.sha256(body).hexdigest()))
        TypeAdapter(dict[str, Any]).dump_json(read)

    @pytest.mark.parametrize(("extra_bytes", "is_object"), [(0, False), (1, True)])
    def test_over_64_kb_are_stored_in_the_bucket(self, extra_bytes: int, *, is_object: bool) -> None:
        artifacts, bucket = new_artifacts()
        # `{"t":""}` is 8 bytes; é is two bytes in one character.
        payload = {"t": "é" * ((MAX_INLINE_BYTES - 8) // 2) + "x" * extra_bytes}
        attribute = Payloads(artifacts).pack("acme", "runs/run_1/inputs", payload)
        assert ("key" in attribute) is is_object
        assert len(bucket.objects) == is_object
        assert all(re.fullmatch(r"tenants/acme/runs/run_1/inputs-[0-9a-f]{16}\.json", key) for key in bucket.objects)
        assert Payloads(artifacts).unpack("acme", Reader(attribute)) == payload

    def test_with_different_content_have_different_objects(self) -> None:
        artifacts, _ = new_artifacts()
        payloads = [{"t": letter * MAX_INLINE_BYTES} for letter in "ab"]
        packed = [Payloads(artifacts).pack("acme", "runs/run_1/output", payload) for payload in payloads]
        assert [Payloads(artifacts).unpack("acme", Reader(attribute)) for attribute in packed] == payloads

    @given(st.dictionaries(TEXTS, NUMBERS | TEXTS | st.none() | st.lists(st.integers(MIN_INTEGER, MAX_INTEGER))))
    def test_in_items_round_trip(self, payload: dict[str, Any]) -> None:
        artifacts, bucket = new_artifacts()
        packed = Payloads(artifacts).pack("acme", "x.json", payload)
        assert Payloads(artifacts).unpack("acme", Reader(packed)) == payload
        assert json.loads(str(packed["json"])) == payload
        assert bucket.objects == {}

    def test_in_the_bucket_are_named_without_a_read(self) -> None:
        artifacts, bucket = new_artifacts()
        packed = Payloads(artifacts).pack("acme", "x", {"t": "x" * MAX_INLINE_BYTES})
        bucket.error = AssertionError()
        assert Payloads(artifacts).name(Reader(packed)) == {"artifact": {"bytes": MAX_INLINE_BYTES + 8}}
        assert Payloads(artifacts).name(Reader({"json": '{"t":1}'})) == {"t": 1}

    def test_of_another_tenant_are_refused(self) -> None:
        artifacts, _ = new_artifacts()
        packed = Payloads(artifacts).pack("acme", "x.json", {"t": "x" * MAX_INLINE_BYTES})
        with pytest.raises(ValueError, match="not of this tenant"):
            Payloads(artifacts).unpack("other", Reader(packed))


class TestArchives:
    def test_are_deterministic_json_lines(self) -> None:
        _, bucket = new_artifacts()
        records = [{"n": 1}, {"t": "é"}]
        written: list[bytes] = []
        for _ in range(2):
            Archives(bucket, bucket="artifacts").write("acme", "usage/1.jsonl.gz", records)
            written.append(bucket.objects["tenants/acme/usage/1.jsonl.gz"])
        assert written[0] == written[1]
        assert [json.loads(line) for line in gzip.decompress(written[0]).decode().splitlines()] == records


def test_documents_keep_the_order_of_their_properties() -> None:
    bucket = FakeBucket()
    documents = Documents(bucket, bucket="b")
    schema = {"properties": {"reason": {"type": "string"}, "answer": {"type": "string"}}, "a": 1}
    stored = documents.write("demo-org", "agents/1.json", schema)
    assert json.dumps(documents.read("demo-org", stored)) == json.dumps(schema)
