"""An application to call."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from shared.http.app import HttpApp
from shared.tenancy.permissions import Role
from tests.gateway import REQUEST_ID, claims, request
from tests.shared.http.things import THINGS, Service, application

ORIGIN = "http://localhost:3000"


@dataclass(frozen=True)
class Answered:
    """An answer, read."""

    status: int
    headers: Mapping[str, str]
    body: Any

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of an answer that must have the one error shape."""
        assert (
            {"error", "message", "requestId"}
            <= set(self.body)
            <= {"error", "message", "requestId", "details", "resets_at"}
        )
        assert self.body["requestId"] == REQUEST_ID
        assert self.headers["X-Request-Id"] == REQUEST_ID
        assert self.headers["Content-Type"] == "application/json"
        return self.status, self.body["error"]


def read(answer: dict[str, Any]) -> Answered:
    """The answer as a client sees it."""
    headers = {name: ",".join(values) for name, values in answer["multiValueHeaders"].items()}
    return Answered(answer["statusCode"], headers, json.loads(answer["body"]) if answer["body"] else None)


@dataclass
class Client:
    """Calls the application as a developer of the tenant `acme`, unless told otherwise."""

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
    ) -> Answered:
        """Send one request."""
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
        return read(self.app(event))


@pytest.fixture(name="service")
def make_service() -> Service:
    return Service(made=["first", "second", "third"])


@pytest.fixture(name="call")
def make_client(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answered]:
    monkeypatch.setenv("CORS_ORIGINS", f'["{ORIGIN}"]')
    return Client(application(service))
