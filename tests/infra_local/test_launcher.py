"""What is done before the engine boots."""

import asyncio
import json
from pathlib import Path
from typing import Any

from infra.local.launcher import Counted, empty, empty_stream_positions, move_queues


def _state(folder: Path, positions: object) -> Path:
    path = folder / "lambda.json"
    payload = {"functions": {"kept": 1}, "dynamodb_stream_positions": positions}
    path.write_text(json.dumps({"__ministack_format__": 2, "payload": payload}))
    return path


class TestEmptyStreamPositions:
    def test_forgets_the_positions_and_keeps_all_else(self, tmp_path: Path) -> None:
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

    def test_leaves_a_state_without_positions_as_it_is(self, tmp_path: Path) -> None:
        path = _state(tmp_path, {"__account_region_scoped__": True, "data": {}})
        before = path.stat().st_mtime_ns, path.read_text()
        empty_stream_positions(tmp_path)
        assert (path.stat().st_mtime_ns, path.read_text()) == before

    def test_has_nothing_to_do_at_the_first_start(self, tmp_path: Path) -> None:
        empty_stream_positions(tmp_path)
        assert list(tmp_path.iterdir()) == []


class TestMoveQueues:
    def test_gives_every_queue_the_new_port_wherever_it_is_named(self, tmp_path: Path) -> None:
        url = "http://localhost:4566/111111111111/inbox"
        (tmp_path / "sqs.json").write_text(json.dumps({"queues": {url: {"url": url}}}))
        (tmp_path / "lambda.json").write_text(json.dumps({"variables": {"INBOX_QUEUE_URL": url}}))
        move_queues(tmp_path, 4600)
        moved = "http://localhost:4600/111111111111/inbox"
        assert json.loads((tmp_path / "sqs.json").read_text()) == {"queues": {moved: {"url": moved}}}
        assert json.loads((tmp_path / "lambda.json").read_text()) == {"variables": {"INBOX_QUEUE_URL": moved}}
        assert sorted(found.name for found in tmp_path.iterdir()) == ["lambda.json", "sqs.json"]

    def test_leaves_other_addresses_and_other_files_alone(self, tmp_path: Path) -> None:
        said = {"STRIPE_API_BASE": "http://localhost:4567", "ORIGIN": "http://localhost:3000/app"}
        (tmp_path / "lambda.json").write_text(json.dumps(said))
        (tmp_path / "dynamodb.json").write_text('"http://localhost:4566/111111111111/inbox"')
        move_queues(tmp_path, 4600)
        assert json.loads((tmp_path / "lambda.json").read_text()) == said
        assert "4566" in (tmp_path / "dynamodb.json").read_text()


class TestEmpty:
    def test_removes_what_an_earlier_engine_left(self, tmp_path: Path) -> None:
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


Headers = list[tuple[bytes, bytes]]


class TestCounted:
    def test_counts_signed_calls_by_operation_and_nothing_else(self) -> None:
        signed = (
            b"AWS4-HMAC-SHA256 Credential=111111111111/20261122/us-east-2/dynamodb/aws4_request, SignedHeaders=host"
        )
        of_s3 = signed.replace(b"dynamodb", b"s3")
        target = (b"x-amz-target", b"DynamoDB_20120810.GetItem")
        counted = Counted(_answer_nothing)
        for headers in ([(b"authorization", signed), target], [(b"authorization", signed), target], []):
            asyncio.run(_ask(counted, "/", headers))
        asyncio.run(_ask(counted, "/v1/health", [(b"authorization", b"Bearer x")]))
        asyncio.run(_ask(counted, "/bucket/key", [(b"authorization", of_s3)]))
        said = asyncio.run(_ask(counted, "/_ainexus/calls", []))
        assert json.loads(said) == {"dynamodb GetItem": 2, "s3": 1}


async def _answer_nothing(_scope: object, _receive: object, _send: object) -> None:
    """An application that has nothing to say."""


async def _ask(app: Counted, path: str, headers: Headers) -> bytes:
    """What comes back."""
    said: list[bytes] = []

    async def send(message: dict[str, Any]) -> None:
        said.append(message.get("body", b""))

    await app({"type": "http", "path": path, "headers": headers}, None, send)
    return b"".join(said)
