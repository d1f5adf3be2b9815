"""Open schemas at every provider: what is sent, and what the run returns."""

import json
from typing import Any

import pytest

from services.runs.runs.domain.run import Status
from tests.services.runs.providers.adapters import ADAPTERS, CHAT, MESSAGES, RESPONSES, Adapter, answered
from tests.services.runs.providers.stage import AGAIN, ONCE, Stage, left_after
from tests.services.runs.providers.test_calls import COMPLETE
from tests.services.runs.providers.wire import Answer, halves

OPEN = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "note": {"type": "string"}},
    "required": ["city"],
}
NULLABLE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "note": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
    "required": ["city", "note"],
    "additionalProperties": False,
}
MAP = {"type": "object", "additionalProperties": {"type": "string"}}


def sent_schema(adapter: Adapter, body: Any) -> tuple[object, bool]:  # noqa: ANN401 — a request's body
    """Return the schema in a request, and whether it is strict."""
    if adapter is CHAT:
        sent = body["response_format"]["json_schema"]
        return sent["schema"], sent["strict"]
    if adapter is RESPONSES:
        sent = body["text"]["format"]
        return sent["schema"], sent["strict"]
    if adapter is MESSAGES:
        return body.get("output_config", {}).get("format", {}).get("schema"), "output_config" in body
    sent = body.get("outputConfig", {}).get("textFormat", {}).get("structure", {}).get("jsonSchema", {})
    return json.loads(sent.get("schema", "null")), bool(sent)


@pytest.mark.parametrize("stage", ADAPTERS, ids=str, indirect=True)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
class TestOpenSchema:
    def test_is_closed(self, stage: Stage, *, whole: bool) -> None:
        text = '{"city": "Wien", "note": null}'
        stage.server.add_replies(answered(stage.adapter, Answer((text,) if whole else tuple(halves(text)))))
        done = stage.execute(stage.submit(response_schema=OPEN))
        assert (done.status, done.output) == (Status.COMPLETED, {"message": text, "data": {"city": "Wien"}})
        is_openai = stage.adapter in (CHAT, RESPONSES)
        expected = NULLABLE if is_openai else {**OPEN, "additionalProperties": False}
        assert sent_schema(stage.adapter, stage.server.received[-1].body) == (expected, True)
        assert [call.meters for call in done.calls] == [{**COMPLETE, **ONCE}]
        assert stage.left() == left_after(COMPLETE)

    def test_is_not_strict_where_it_cannot_be_closed(self, stage: Stage, *, whole: bool) -> None:
        text = '{"anything": "goes"}'
        stage.server.add_replies(answered(stage.adapter, Answer((text,) if whole else tuple(halves(text)))))
        done = stage.execute(stage.submit(response_schema=MAP))
        assert (done.status, done.output) == (Status.COMPLETED, {"message": text, "data": {"anything": "goes"}})
        body = stage.server.received[-1].body
        is_openai = stage.adapter in (CHAT, RESPONSES)
        assert sent_schema(stage.adapter, body) == (MAP if is_openai else None, False)
        if not is_openai:
            assert json.dumps(MAP) in body["system"][-1]["text"]
        assert stage.left() == left_after(COMPLETE)

    def test_is_validated_as_it_is(self, stage: Stage, *, whole: bool) -> None:
        text = '{"anything": 5}'
        wrong = answered(stage.adapter, Answer((text,) if whole else tuple(halves(text))))
        stage.server.add_replies(wrong, answered(stage.adapter, Answer(('{"anything": "5"}',))))
        done = stage.execute(stage.submit(response_schema=MAP))
        assert done.output == {"message": '{"anything": "5"}', "data": {"anything": "5"}}
        assert [call.meters for call in done.calls] == [{**COMPLETE, **ONCE}, {**COMPLETE, **AGAIN}]
        assert stage.left() == left_after(COMPLETE, COMPLETE)
