"""The inputs of runs."""

from base64 import b64encode
from typing import Any

import pytest
from pydantic import ValidationError

from services.runs.execution.schemas import NewRunInputs

PNG = b64encode(b"\x89PNG\r\n\x1a\n" + bytes(40)).decode()
TEXT = {"type": "text", "text": "What is this?"}
IMAGE = {"type": "image", "data": PNG}


def refusal_of(inputs: dict[str, Any]) -> str:
    """Return the reason for which these inputs are refused."""
    with pytest.raises(ValidationError) as refused:
        NewRunInputs.model_validate(inputs)
    return str(refused.value.errors(include_input=False))


class TestNewRunInputs:
    @pytest.mark.parametrize(
        "inputs",
        [
            {"message": [TEXT]},
            {"message": [IMAGE, TEXT, {"type": "image", "url": "https://example.com/a.png?size=2"}]},
            {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": [TEXT, IMAGE]}]},
        ],
    )
    def test_are_kept_as_they_are(self, inputs: dict[str, Any]) -> None:
        assert NewRunInputs.model_validate(inputs).model_dump(exclude_none=True) == inputs

    @pytest.mark.parametrize(
        ("part", "reason"),
        [
            ({"type": "image"}, "give either url or data"),
            ({"type": "image", "data": PNG, "url": "https://example.com/a.png"}, "give either url or data"),
            ({"type": "image", "data": "not base64!"}, "pattern"),
            ({"type": "image", "data": PNG[:-1]}, "in base64"),
            ({"type": "image", "data": b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode()}, "PNG, JPEG"),
            ({"type": "file", "data": PNG}, "data must be a PDF file in base64"),
            ({"type": "image", "url": "http://example.com/a.png"}, "https"),
            ({"type": "image", "url": "file:///etc/passwd"}, "https"),
            ({"type": "image", "url": "https://me:secret@example.com/a.png"}, "https"),
            ({"type": "image", "url": "https://[broken/a.png"}, "https"),
            ({"type": "image", "url": "https://example.com/" + "a" * 3_000}, "2048"),
            ({"type": "image", "data": PNG, "name": "a.png"}, "name"),
            ({"type": "audio", "data": PNG}, "audio"),
            ({"type": "text", "text": ""}, "at least 1"),
        ],
    )
    def test_refuse_parts_that_no_provider_accepts(self, part: dict[str, str], reason: str) -> None:
        assert reason in refusal_of({"message": [TEXT, part]})
        assert reason in refusal_of({"messages": [{"role": "user", "content": [TEXT, part]}]})

    @pytest.mark.parametrize(
        ("inputs", "reason"),
        [
            ({"message": []}, "at least 1"),
            ({"message": [IMAGE]}, "at least one part must be a text"),
            ({"message": [TEXT, *[IMAGE] * 21]}, "a run can have 20 images and 5 files"),
            ({"messages": [{"role": "user", "content": [TEXT, *[IMAGE] * 11]}] * 2}, "20 images"),
            ({"messages": [{"role": "system", "content": [TEXT]}, {"role": "user", "content": "Hi"}]}, "of the user"),
            (
                {"messages": [{"role": "assistant", "content": [TEXT]}, {"role": "user", "content": "Hi"}]},
                "of the user",
            ),
        ],
    )
    def test_refuse_other_messages(self, inputs: dict[str, Any], reason: str) -> None:
        assert reason in refusal_of(inputs)
