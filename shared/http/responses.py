"""Responses: a body with the request id, and the headers that belong to it."""

from collections.abc import Mapping
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import Response
from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from shared.http.call import current_call
from shared.http.links import link
from shared.schema import DocumentedModel


class ResponseBody(DocumentedModel):
    """The envelope of every response body."""

    model_config = ConfigDict(populate_by_name=True)

    requestId: str = Field(default_factory=lambda: current_call().request_id)  # noqa: N815 — the name on the wire
    """The id of the request, for support; also in the header `X-Request-Id`."""

    @model_serializer(mode="wrap")
    def _envelope_last(self, serialize: SerializerFunctionWrapHandler):  # noqa: ANN202 — a type here would replace the schema
        """Return the fields with those of the resource first, and those of the envelope last."""
        fields: dict[str, Any] = serialize(self)
        envelope = {name: fields.pop(name) for name in ("pagination", "requestId") if name in fields}
        return fields | envelope


class Pagination(DocumentedModel):
    """The position of the next page."""

    nextToken: str | None = None  # noqa: N815 — the name on the wire
    """Send it as `next_token` to read the next page; null on the last page."""
    hasMore: bool = False  # noqa: N815 — the name on the wire
    """Whether there is another page."""


class ListResponse(ResponseBody):
    """A page of a list; subclasses add the items under their plural name."""

    pagination: Pagination = Pagination()


BodyT = TypeVar("BodyT", bound=ResponseBody)


def ok(answer: BodyT, *, etag: int | None = None) -> Response[BodyT]:
    """Return 200 with a resource."""
    return _response(200, answer, _etag(etag))


def created(answer: BodyT, *, location: str, etag: int | None = None) -> Response[BodyT]:
    """Return 201 with a resource and its location, a path from the root of the API."""
    return _response(201, answer, {"Location": link(location, base=current_call().path), **_etag(etag)})


def accepted(answer: BodyT, *, location: str) -> Response[BodyT]:
    """Return 202 with the location where the result will be available, a path from the root of the API."""
    return _response(202, answer, {"Location": link(location, base=current_call().path)})


def no_content() -> Response[None]:
    """Return 204 without a body."""
    return Response(status_code=204)


def _etag(seq: int | None) -> dict[str, str]:
    return {} if seq is None else {"ETag": f'"{seq}"'}


def _response(status: int, answer: BodyT, headers: Mapping[str, str]) -> Response[BodyT]:
    return Response(status_code=status, content_type="application/json", body=answer, headers=dict(headers))
