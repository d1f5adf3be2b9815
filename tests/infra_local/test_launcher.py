"""The steps before the engine boots."""

import asyncio
import base64
import hmac
import json
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from infra.local import launcher
from infra.local.launcher import (
    CallCounter,
    empty,
    empty_stream_positions,
    limit_starts,
    move_queues,
    share_unpacked_code,
)


def _state(folder: Path, positions: object) -> Path:
    path = folder / "lambda.json"
    state = {"functions": {"kept": 1}, "dynamodb_stream_positions": positions}
    path.write_text(json.dumps({"__ministack_format__": 2, "payload": state}))
    return path


class TestEmptyStreamPositions:
    def test_resets_the_positions_and_keeps_all_other_state(self, tmp_path: Path) -> None:
        scoped = {"__account_region_scoped__": True, "data": {"111111111111\x00us-east-2\x00'a'": 42}}
        path = _state(tmp_path, scoped)
        empty_stream_positions(tmp_path)
        assert json.loads(path.read_text()) == {
            "__ministack_format__": 2,
            "payload": {
                "functions": {"kept": 1},
                "dynamodb_stream_positions": {"__account_region_scoped__": True, "data": {}},
            },
        }
        assert [found.name for found in tmp_path.iterdir()] == ["lambda.json"]

    def test_leaves_a_state_without_positions_unchanged(self, tmp_path: Path) -> None:
        path = _state(tmp_path, {"__account_region_scoped__": True, "data": {}})
        before = path.stat().st_mtime_ns, path.read_text()
        empty_stream_positions(tmp_path)
        assert (path.stat().st_mtime_ns, path.read_text()) == before

    def test_does_nothing_at_the_first_start(self, tmp_path: Path) -> None:
        empty_stream_positions(tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestMoveQueues:
    def test_replaces_the_port_in_every_reference_to_a_queue(self, tmp_path: Path) -> None:
        url = "http://localhost:4566/111111111111/inbox"
        (tmp_path / "sqs.json").write_text(json.dumps({"queues": {url: {"url": url}}}))
        (tmp_path / "lambda.json").write_text(json.dumps({"variables": {"INBOX_QUEUE_URL": url}}))
        move_queues(tmp_path, 4600)
        moved = "http://localhost:4600/111111111111/inbox"
        assert json.loads((tmp_path / "sqs.json").read_text()) == {"queues": {moved: {"url": moved}}}
        assert json.loads((tmp_path / "lambda.json").read_text()) == {"variables": {"INBOX_QUEUE_URL": moved}}
        assert sorted(found.name for found in tmp_path.iterdir()) == ["lambda.json", "sqs.json"]

    def test_leaves_other_addresses_and_files_unchanged(self, tmp_path: Path) -> None:
        content = {"STRIPE_API_BASE": "http://localhost:4567", "ORIGIN": "http://localhost:3000/app"}
        (tmp_path / "lambda.json").write_text(json.dumps(content))
        (tmp_path / "dynamodb.json").write_text('"http://localhost:4566/111111111111/inbox"')
        move_queues(tmp_path, 4600)
        assert json.loads((tmp_path / "lambda.json").read_text()) == content
        assert "4566" in (tmp_path / "dynamodb.json").read_text()


class TestEmpty:
    def test_deletes_files_of_an_earlier_engine(self, tmp_path: Path) -> None:
        scratch = tmp_path / "tmp"
        (scratch / "ministack-lambda-1").mkdir(parents=True)
        (scratch / "ministack-lambda-1" / "code.py").touch()
        empty(scratch).join()
        assert list(scratch.iterdir()) == []
        assert list(tmp_path.iterdir()) == [scratch]

    def test_deletes_leftovers_of_an_interrupted_deletion(self, tmp_path: Path) -> None:
        (tmp_path / "tmp.1.discarded" / "code").mkdir(parents=True)
        empty(tmp_path / "tmp").join()
        assert list(tmp_path.iterdir()) == [tmp_path / "tmp"]


class TestShareUnpackedCode:
    def test_unpacks_the_same_code_once(self, tmp_path: Path) -> None:
        runtime = SimpleNamespace(zipfile=zipfile)
        share_unpacked_code(runtime, tmp_path)
        first, second = (_unpack(runtime, tmp_path / name, code=b"one") for name in ("first", "second"))
        assert first.read_bytes() == b"one"
        assert first.resolve() == second.resolve()

    def test_unpacks_another_version_separately(self, tmp_path: Path) -> None:
        runtime = SimpleNamespace(zipfile=zipfile)
        share_unpacked_code(runtime, tmp_path)
        first = _unpack(runtime, tmp_path / "first", code=b"one")
        second = _unpack(runtime, tmp_path / "second", code=b"two")
        assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


def _unpack(runtime: SimpleNamespace, folder: Path, *, code: bytes) -> Path:
    """Unpack a bundle with one file as the engine does; return the file."""
    target = folder / "code"
    target.mkdir(parents=True)
    with zipfile.ZipFile(folder / "code.zip", "w") as bundle:
        bundle.writestr(zipfile.ZipInfo("handler.py"), code)
    with runtime.zipfile.ZipFile(str(folder / "code.zip")) as bundle:
        bundle.extractall(target)
    return target / "handler.py"


@dataclass
class Runtime:
    """The engine's pool of one function's processes."""

    free: list[str] = field(default_factory=list[str])
    processes: int = 0
    starting: int = 0
    max_starting: int = 0
    may_start: threading.Event = field(default_factory=threading.Event)
    fails: bool = False

    def acquire_worker(
        self, _name: str, _config: object, _code: bytes, _qualifier: str = "", max_concurrency: int | None = None
    ) -> tuple[str | None, str]:
        if self.free:
            return self.free.pop(), "reused"
        if max_concurrency and self.processes >= max_concurrency:
            return None, "func_cap"
        self.processes += 1
        return f"process {self.processes}", "spawn"

    def ensure_spawned(self, _worker: str) -> None:
        self.starting += 1
        self.max_starting = max(self.max_starting, self.starting)
        assert self.may_start.wait(10)
        self.starting -= 1
        if self.fails:
            msg = "the handler cannot be imported"
            raise RuntimeError(msg)


class TestLimitStarts:
    @pytest.fixture(name="runtime")
    def limit(self) -> Runtime:
        runtime = Runtime()
        limit_starts(runtime, runtime, max_concurrent=2)
        return runtime

    def test_never_starts_more_than_the_limit_concurrently(self, runtime: Runtime) -> None:
        with _Invocations(runtime, count=6) as invocations:
            _wait_until(lambda: runtime.starting == 2)
            runtime.may_start.set()
        assert runtime.max_starting == 2
        assert {how for _, how in invocations.results} == {"spawn"}

    def test_uses_a_process_that_becomes_free_while_it_waits(self, runtime: Runtime) -> None:
        with _Invocations(runtime, count=5) as invocations:
            _wait_until(lambda: runtime.starting == 2)
            runtime.free += ["freed", "freed", "freed"]
            runtime.may_start.set()
        assert sorted(how for _, how in invocations.results) == ["reused"] * 3 + ["spawn"] * 2
        assert runtime.processes == 2

    def test_does_not_wait_when_a_process_is_free(self, runtime: Runtime) -> None:
        runtime.free += ["free"]
        assert runtime.acquire_worker("f", {}, b"") == ("free", "reused")

    def test_leaves_a_failed_start_to_the_invocation(self, runtime: Runtime) -> None:
        runtime.fails = True
        runtime.may_start.set()
        assert runtime.acquire_worker("f", {}, b"") == ("process 1", "spawn")


class _Invocations:
    """Invocations of one function at the same time, ended with the block."""

    def __init__(self, runtime: Runtime, *, count: int) -> None:
        self.results: list[tuple[str | None, str]] = []
        invoke = lambda: self.results.append(runtime.acquire_worker("f", {}, b""))  # noqa: E731 — a thread's target
        self._threads = [threading.Thread(target=invoke) for _ in range(count)]

    def __enter__(self) -> "_Invocations":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for thread in self._threads:
            thread.join(10)


def _wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        threading.Event().wait(0.01)
    msg = "the condition was not met"
    raise AssertionError(msg)


Headers = list[tuple[bytes, bytes]]


class TestCallCounter:
    def test_counts_only_signed_calls_by_operation(self) -> None:
        signed = (
            b"AWS4-HMAC-SHA256 Credential=111111111111/20261122/us-east-2/dynamodb/aws4_request, SignedHeaders=host"
        )
        of_s3 = signed.replace(b"dynamodb", b"s3")
        target = (b"x-amz-target", b"DynamoDB_20120810.GetItem")
        counted = CallCounter(_no_response)
        for headers in ([(b"authorization", signed), target], [(b"authorization", signed), target], []):
            asyncio.run(_get(counted, "/", headers))
        asyncio.run(_get(counted, "/v1/health", [(b"authorization", b"Bearer x")]))
        asyncio.run(_get(counted, "/bucket/key", [(b"authorization", of_s3)]))
        content = asyncio.run(_get(counted, "/_ainexus/calls", []))
        assert json.loads(content) == {"dynamodb GetItem": 2, "s3": 1}


async def _no_response(_scope: object, _receive: object, _send: object) -> None:
    """Return an empty response."""


async def _get(app: CallCounter, path: str, headers: Headers) -> bytes:
    """Send a request and return the response."""
    content: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        content.append(message.get("body", b""))

    await app({"type": "http", "path": path, "headers": headers}, None, send)
    return b"".join(content)


class TestFormUploads:
    BUCKET = "ainexus-local-artifacts"
    KEY = "tenants/acme/runs/datasets/dst/uploads/upl/file"

    def _form(self, **changed: str) -> tuple[dict[str, Any], str]:
        """Return the fields of a presigned form as the engine reads them, and the signature of its policy."""
        client = boto3.client("s3", region_name="us-east-2", aws_access_key_id="key", aws_secret_access_key="secret")  # pyright: ignore[reportUnknownMemberType]  # stubs for few services
        form = client.generate_presigned_post(
            self.BUCKET, self.KEY, Conditions=[["content-length-range", 1, 10]], ExpiresIn=300
        )
        fields = {**form["fields"], **changed}
        parts = [f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields]
        file = '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n{"a"\r\n1}\r\n--b--\r\n'
        read = launcher.form_of("multipart/form-data; boundary=b", ("".join(parts) + file).encode())
        return read, form["fields"]["x-amz-signature"]

    def _reason(self, form: dict[str, Any], signature: str | None, *, after_s: float = 0) -> str | None:
        now = time.time() + after_s
        return launcher.reason_to_refuse_form(form, bucket=self.BUCKET, signature=signature, now=now)

    def test_accept_a_file_as_the_policy_allows(self) -> None:
        form, signature = self._form()
        assert form["file"] == b'{"a"\r\n1}'
        assert self._reason(form, signature) is None

    def test_refuse_the_key_of_another_tenant(self) -> None:
        form, signature = self._form(key="tenants/globex/runs/datasets/dst/uploads/upl/file")
        assert "Policy condition failed" in str(self._reason(form, signature))

    def test_refuse_a_policy_that_was_changed(self) -> None:
        form, signature = self._form()
        policy = json.loads(base64.b64decode(form["policy"]))
        policy["conditions"] = []
        forged = {**form, "policy": base64.b64encode(json.dumps(policy).encode()).decode(), "key": "other"}
        signature_of: Callable[..., str | None] = vars(launcher)["signature_of_form"]
        assert signature_of(EngineS3(), form) == signature
        assert "signature" in str(self._reason(forged, signature_of(EngineS3(), forged)))

    def test_refuse_a_file_that_is_too_large_or_late(self) -> None:
        form, signature = self._form()
        assert "content-length-range" in str(self._reason({**form, "file": b"x" * 11}, signature))
        assert "expired" in str(self._reason(form, signature, after_s=301))

    def test_refuse_unknown_keys(self) -> None:
        form, _ = self._form()
        assert "signature" in str(self._reason(form, None))


class EngineS3:
    """The engine's functions of S3 that forms need."""

    CredentialResolutionError = LookupError

    def find_iam_access_key_account(self, key: str) -> str | None:
        """Return the account of a key."""
        return {"key": "000000000000"}.get(key)

    def get_account_id(self) -> str:
        """Return the account of the request."""
        return "111111111111"

    def resolve_credential(self, *_: str) -> SimpleNamespace:
        """Return the secret of a key."""
        return SimpleNamespace(secret_access_key="secret")

    def calculate_signature(self, secret: str, date: str, region: str, service: str, policy: str) -> str:
        """Return a signature as version 4 defines it."""
        key = f"AWS4{secret}".encode()
        for part in (date, region, service, "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, policy.encode(), "sha256").hexdigest()
