"""Fixtures of an application and its client."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shared.http.app import HttpApp
from shared.tenancy.permissions import Role
from tests.gateway import REQUEST_ID, claims, request, resolve_location
from tests.shared.http.sample_service import THINGS, Service, application

ORIGIN = "http://localhost:3000"


@dataclass(frozen=True)
class ClientResponse:
    """A parsed response."""

    status: int
    headers: Mapping[str, str]
    body: Any
    raw_location: str = ""
    """The Location as it was sent."""

    @property
    def error(self) -> tuple[int, str]:
        """The status and code of a response, which must have the common error body."""
        assert (
            {"error", "message", "requestId"}
            <= set(self.body)
            <= {"error", "message", "requestId", "details", "resets_at", "shortage"}
        )
        assert self.body["requestId"] == REQUEST_ID
        assert self.headers["X-Request-Id"] == REQUEST_ID
        assert self.headers["Content-Type"] == "application/json"
        return self.status, self.body["error"]


def parse_response(response: dict[str, Any], *, path: str = "") -> ClientResponse:
    """Parse a response as a client does."""
    headers = {name: ",".join(values) for name, values in response["multiValueHeaders"].items()}
    body = json.loads(response["body"]) if response["body"] else None
    return ClientResponse(response["statusCode"], resolve_location(headers, path), body, headers.get("Location", ""))


@dataclass
class Client:
    """A client that calls the application, by default as a developer of the tenant `acme`."""

    app: HttpApp

    def __call__(
        self,
        method: str = "GET",
        resource: str = THINGS,
        *,
        tenant_id: str = "acme",
        thing_id: str | None = None,
        token: Mapping[str, str] | None = None,
        anonymous: bool = False,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> ClientResponse:
        """Send a request."""
        parameters = {"tenant_id": tenant_id} | ({"thing_id": thing_id} if thing_id is not None else {})
        event = request(
            method,
            resource,
            path_parameters=parameters,
            claims=None if anonymous else token or claims("acme", role=Role.DEVELOPER),
            body=body,
            headers=headers,
            query=query,
        )
        return parse_response(self.app(event), path=event["path"])


@pytest.fixture(name="service")
def make_service() -> Service:
    return Service(thing_names=["first", "second", "third"])


@pytest.fixture(name="call")
def make_client(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ClientResponse]:
    monkeypatch.setenv("CORS_ORIGINS", f'["{ORIGIN}"]')
    return Client(application(service))
