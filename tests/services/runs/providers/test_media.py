"""Images and files of messages: what each provider receives, and what is reserved for them."""

from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runs.errors import MediaNotSupported
from services.runs.providers.domain.media import check_media
from services.runs.providers.domain.media_bounds import NO_MEDIA_TOKENS, MediaTokens, media_bound_tokens
from services.runs.providers.domain.request import Api, ModelRequest, compose, fallback_request
from services.runs.runs.domain.media import MediaPart, media_type_of
from services.runs.runs.domain.run import Status
from shared.meters import Meter
from shared.models.capabilities import TABLE, capabilities_of
from tests.services.runs.providers.adapters import ADAPTERS, CONVERSE, answered
from tests.services.runs.providers.stage import MONTH, ONCE, Stage, left_after
from tests.services.runs.providers.test_runs import COMPLETE
from tests.services.runs.providers.wire import Answer, Used

PNG_BYTES, PDF_BYTES = b"\x89PNG\r\n\x1a\n" + bytes(40), b"%PDF-1.7\n" + bytes(40)
PNG, PDF = b64encode(PNG_BYTES).decode(), b64encode(PDF_BYTES).decode()
WEB = "https://example.com/cat.jpg"
TEXT: dict[str, Any] = {"type": "text", "text": "What is this?"}
IMAGE: dict[str, Any] = {"type": "image", "data": PNG}
LINKED: dict[str, Any] = {"type": "image", "url": WEB}
FILE: dict[str, Any] = {"type": "file", "data": PDF, "name": "report.pdf"}
LINKED_FILE: dict[str, Any] = {"type": "file", "url": WEB}
BOUNDS: dict[str, Any] = {"image_tokens": 1_500, "file_tokens": 7_000}

SENT: dict[Api, list[Any]] = {
    "chat": [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
        {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "report.pdf"}},
    ],
    "responses": [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
        {"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}", "filename": "report.pdf"},
    ],
    "messages": [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
            "title": "report.pdf",
        },
    ],
    "converse": [
        {"text": "What is this?"},
        {"image": {"format": "png", "source": {"bytes": PNG}}},
        {"document": {"format": "pdf", "name": "file 3", "source": {"bytes": PDF}}},
    ],
}
SENT_ADDRESSES: dict[Api, list[Any]] = {
    "chat": [{"type": "image_url", "image_url": {"url": WEB}}],
    "responses": [
        {"type": "input_image", "image_url": WEB, "detail": "auto"},
        {"type": "input_file", "file_url": WEB},
    ],
    "messages": [
        {"type": "image", "source": {"type": "url", "url": WEB}},
        {"type": "document", "source": {"type": "url", "url": WEB}},
    ],
}


def content_of(stage: Stage) -> Any:  # noqa: ANN401 — any JSON
    """Return the content of the last message of the last request."""
    body = stage.server.received[-1].body
    return (body.get("messages") or body["input"])[-1]["content"]


def asked(model: str, *parts: dict[str, Any], **config: Any) -> ModelRequest:  # noqa: ANN401 — any field of a config
    return compose({"model": model, **config}, {"message": [TEXT, *parts]}, max_output_tokens=None)


@pytest.mark.parametrize("stage", ADAPTERS, ids=str, indirect=True)
class TestRuns:
    @pytest.mark.parametrize("in_conversation", [False, True])
    def test_send_them_in_order(self, stage: Stage, *, in_conversation: bool) -> None:
        stage.server.add_replies(answered(stage.adapter))
        parts = [TEXT, IMAGE, FILE]
        inputs = {"messages": [{"role": "user", "content": parts}]} if in_conversation else {"message": parts}
        done = stage.execute(stage.submit(inputs=inputs, **BOUNDS))
        assert content_of(stage) == SENT[stage.adapter.api]
        assert (done.status, done.usage, stage.left()) == (Status.COMPLETED, {**COMPLETE, **ONCE}, left_after(COMPLETE))

    def test_send_addresses_or_refuse_them(self, stage: Stage) -> None:
        api = stage.adapter.api
        parts = [LINKED] if api == "chat" else [LINKED, LINKED_FILE]
        if stage.adapter is CONVERSE:
            with pytest.raises(MediaNotSupported, match="reads no addresses of images"):
                stage.submit(inputs={"message": [TEXT, *parts]}, **BOUNDS)
            assert stage.world.budgets.find(MONTH) is None
            return
        stage.server.add_replies(answered(stage.adapter))
        stage.execute(stage.submit(inputs={"message": [TEXT, *parts]}, **BOUNDS))
        assert content_of(stage)[1:] == SENT_ADDRESSES[api]

    def test_never_use_more_than_is_reserved(self, stage: Stage) -> None:
        used = Used(tokens_in=1_500 + 7_000 + 4, tokens_out=5)
        stage.server.add_replies(answered(stage.adapter, Answer(used=used)))
        run = stage.submit(inputs={"message": [TEXT, IMAGE, FILE]}, **BOUNDS)
        assert run.open_call
        assert run.open_call.bound_tokens >= 1_500 + 7_000 + run.open_call.max_output_tokens
        done = stage.execute(run)
        assert done.calls[0].spent_tokens <= run.open_call.bound_tokens
        assert stage.left() == left_after({Meter.TOKENS_IN: used.tokens_in, Meter.TOKENS_OUT: 5})

    @pytest.mark.parametrize(
        ("part", "config", "missing"),
        [(IMAGE, {"file_tokens": 1}, "image_tokens"), (FILE, {"image_tokens": 1}, "file_tokens")],
    )
    def test_need_a_bound_for_a_model_without_a_row(
        self, stage: Stage, part: dict[str, str], config: dict[str, Any], missing: str
    ) -> None:
        with pytest.raises(MediaNotSupported, match=missing):
            stage.submit(inputs={"message": [TEXT, part]}, **config)


class TestCheckMedia:
    @pytest.mark.parametrize(
        ("request_", "reason"),
        [
            (asked("gpt-3.5-turbo", IMAGE), "The model gpt-3.5-turbo accepts no images."),
            (asked("o3-mini", FILE), "The model o3-mini accepts no files."),
            (asked("amazon.nova-micro-v1:0", IMAGE), "accepts no images"),
            (asked("us.anthropic.claude-opus-4-8", LINKED), "Send them as data"),
            (asked("gpt-4o", LINKED_FILE, api="chat"), "reads no addresses of files"),
            (asked("gpt-4o", LINKED_FILE, stop=["x"]), "reads no addresses of files"),
            (asked("gpt-9", IMAGE), "image_tokens"),
            (asked("o3-mini", IMAGE, provider="simulated"), "accepts no images"),
            (fallback_request(asked("gpt-4o", IMAGE), "gpt-3.5-turbo"), "The model gpt-3.5-turbo accepts no images."),
            (fallback_request(asked("gpt-4o", IMAGE, image_tokens=1), "gpt-9"), "image_tokens"),
        ],
    )
    def test_refuses_what_the_model_does_not_accept(self, request_: ModelRequest, reason: str) -> None:
        with pytest.raises(MediaNotSupported, match=reason):
            check_media(request_)

    @pytest.mark.parametrize(
        "request_",
        [
            asked("gpt-4o", IMAGE, LINKED, FILE, LINKED_FILE),
            asked("claude-opus-4-8", IMAGE, LINKED, FILE, LINKED_FILE),
            asked("us.anthropic.claude-opus-4-8", IMAGE, FILE),
            asked("gpt-9", IMAGE, image_tokens=100),
            asked("anything", IMAGE, FILE, LINKED, provider="simulated"),
            asked("gpt-3.5-turbo"),
        ],
    )
    def test_accepts_the_rest(self, request_: ModelRequest) -> None:
        check_media(request_)


class TestBounds:
    @pytest.mark.parametrize("row", TABLE, ids=lambda row: row.family)
    @given(images=st.integers(0, 20), files=st.integers(0, 5))
    def test_are_the_bounds_of_the_model(self, row: Any, images: int, files: int) -> None:  # noqa: ANN401 — a row
        if row.context_tokens is None:
            return
        media = [MediaPart("image", url=WEB)] * images + [MediaPart("file", url=WEB)] * files
        bound = media_bound_tokens(media, row, NO_MEDIA_TOKENS)
        each = row.image_tokens or row.context_tokens
        assert bound == min(images * each + files * row.context_tokens, row.context_tokens)

    def test_of_a_file_are_the_context_window(self) -> None:
        row = capabilities_of("anthropic", "claude-opus-4-8")
        assert row
        plain, with_file = asked("claude-opus-4-8"), asked("claude-opus-4-8", FILE)
        assert row.context_tokens == 1_000_000
        assert with_file.input_bound_tokens - plain.input_bound_tokens >= 1_000_000

    def test_of_the_config_apply_to_each_part(self) -> None:
        media = [MediaPart("image", url=WEB)] * 3 + [MediaPart("file", url=WEB)] * 2
        assert media_bound_tokens(media, None, MediaTokens(10, 100)) == 230

    def test_do_not_grow_with_the_bytes(self) -> None:
        longer = {"type": "image", "data": b64encode(PNG_BYTES * 1_000).decode()}
        assert asked("gpt-4o", longer).input_bound_tokens == asked("gpt-4o", IMAGE).input_bound_tokens

    def test_include_all_texts(self) -> None:
        more = {"type": "text", "text": "ü" * 1_000}
        assert asked("gpt-4o", IMAGE, more).input_bound_tokens >= asked("gpt-4o", IMAGE).input_bound_tokens + 2_000


class TestMediaType:
    @pytest.mark.parametrize(
        ("beginning", "name"),
        [
            (PNG_BYTES, "image/png"),
            (b"\xff\xd8\xff\xe0" + bytes(40), "image/jpeg"),
            (b"GIF89a" + bytes(40), "image/gif"),
            (b"RIFF\x00\n\x00\x00WEBP" + bytes(40), "image/webp"),
            (b"<svg xmlns=", None),
            (PDF_BYTES, None),
        ],
    )
    def test_is_read_from_the_bytes(self, beginning: bytes, name: str | None) -> None:
        assert media_type_of("image", b64encode(beginning).decode()) == name

    def test_of_a_file_is_pdf_only(self) -> None:
        assert media_type_of("file", PDF) == "application/pdf"
        assert media_type_of("file", PNG) is None
