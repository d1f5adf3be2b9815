"""Answers: a body with its request id, and the headers that go with it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from shared.http.call import current


class Answer(BaseModel):
    """The envelope of every body."""

    model_config = ConfigDict(populate_by_name=True)

    requestId: str = Field(default_factory=lambda: current.get().request_id)  # noqa: N815 — the name on the wire

    @model_serializer(mode="wrap")
    def _envelope_last(self, serialize: SerializerFunctionWrapHandler):  # noqa: ANN202 — a type here would replace the schema
        """What was asked for comes first, the envelope after it."""
        fields: dict[str, Any] = serialize(self)
        envelope = {name: fields.pop(name) for name in ("pagination", "requestId") if name in fields}
        return fields | envelope


class Pagination(BaseModel):
    """Where the next page is."""

    nextToken: str | None = None  # noqa: N815 — the name on the wire
    hasMore: bool = False  # noqa: N815 — the name on the wire


class ListAnswer(Answer):
    """A page of a list; subclasses add the items under their plural."""

    pagination: Pagination = Pagination()


AnswerT = TypeVar("AnswerT", bound=Answer)


def ok(answer: AnswerT, *, etag: int | None = None) -> Response[AnswerT]:
    """200 with the resource."""
    return _response(200, answer, _etag(etag))


def created(answer: AnswerT, *, location: str, etag: int | None = None) -> Response[AnswerT]:
    """201 with the resource and where it is."""
    return _response(201, answer, {"Location": location, **_etag(etag)})


def accepted(answer: AnswerT, *, location: str) -> Response[AnswerT]:
    """202: it will be done; look there."""
    return _response(202, answer, {"Location": location})


def no_content() -> Response[None]:
    """204."""
    return Response(status_code=204)


def _etag(seq: int | None) -> dict[str, str]:
    return {} if seq is None else {"ETag": f'"{seq}"'}


def _response(status: int, answer: AnswerT, headers: Mapping[str, str]) -> Response[AnswerT]:
    return Response(status_code=status, content_type="application/json", body=answer, headers=dict(headers))
