"""What is done before the engine boots."""

import json
from pathlib import Path

from infra.local.launcher import empty, empty_stream_positions


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


class TestEmpty:
    def test_removes_what_an_earlier_engine_left(self, tmp_path: Path) -> None:
        scratch = tmp_path / "tmp"
        (scratch / "ministack-lambda-1").mkdir(parents=True)
        (scratch / "ministack-lambda-1" / "code.py").touch()
        empty(scratch)
        assert list(scratch.iterdir()) == []
