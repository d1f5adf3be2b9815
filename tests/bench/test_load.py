"""The stages of the load, and the report by stage."""

import json
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from bench.load.notes import Note, lines_of, percentile, read
from bench.load.picture import svg
from bench.load.stages import STAGES, stage_at, users_at

WHOLE_S = sum(stage.seconds for stage in STAGES)


class TestStages:
    def test_follow_each_other(self) -> None:
        seen = [stage_at(second) for second in range(WHOLE_S)]
        assert list(dict.fromkeys(seen)) == list(STAGES)

    def test_end(self) -> None:
        assert (stage_at(WHOLE_S), users_at(WHOLE_S)) == (None, 0)

    def test_are_bounded(self) -> None:
        assert max(users_at(second) for second in range(WHOLE_S)) == 30
        assert WHOLE_S <= 180

    def test_ramp_evenly_and_spike_at_once(self) -> None:
        assert (users_at(0), users_at(30), users_at(44.9)) == (1, 6, 10)
        assert (users_at(89.9), users_at(90)) == (10, 30)


class TestNotes:
    def test_are_read_in_the_order_of_time(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.jsonl"
        payload = [{"at": at, "name": "GET runs", "ms": 5.0, "ok": True} for at in (12.0, 10.0)]
        path.write_text("".join(f"{json.dumps(one)}\n" for one in payload))
        assert [note.second for note in read(path)] == [0.0, 2.0]

    def test_are_told_by_stage_and_by_request(self) -> None:
        notes = [
            Note(1, "GET runs", 10, ok=True),
            Note(2, "GET runs", 30, ok=False),
            Note(95, "POST runs", 70, ok=True),
        ]
        lines = {line[:28].split()[0]: line.split()[-6:] for line in lines_of(notes) if line}
        assert lines["warm-up"] == ["2", "0.1", "1", "20", "29", "30"]
        assert lines["spike"][0] == "1"
        assert lines["all"][:3] == ["3", "0.0", "1"]

    @pytest.mark.parametrize(("values", "expected"), [([], 0), ([7.0], 7.0), ([1.0, 3.0], 2.0)])
    def test_have_a_median(self, values: list[float], expected: float) -> None:
        assert percentile(values, 50) == expected


def test_the_picture_is_one() -> None:
    drawn = Xml.fromstring(svg([Note(1, "GET runs", 10, ok=True)]))  # noqa: S314 — our own text
    assert len(drawn.findall("{http://www.w3.org/2000/svg}polyline")) == 4
