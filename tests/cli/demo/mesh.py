"""A mesh of prepared responses, for the demo."""

from dataclasses import dataclass, field
from typing import Any

from cli.api import ApiRequest, ApiResponse
from cli.demo.counts import Item
from cli.demo.usage import DemoContext

_RUN = "run_1"
_USED = {"tokens_in": 15, "tokens_out": 13, "compute_ms": 40}


@dataclass
class FakeMesh:
    """Responds as the mesh does; usage arrives only after some scans, as events do."""

    late: int = 2
    ledger: dict[str, int] = field(default_factory=lambda: {"requests": 1, **_USED})
    events: dict[str, int] = field(default_factory=lambda: {"requests": 1, **_USED})
    daily: dict[str, int] = field(default_factory=lambda: {"requests": 1, **_USED})
    health: str = "healthy"
    status: str = "completed"
    waits: bool = True
    projects: dict[str, Any] = field(
        default_factory=lambda: {
            "projects": [],
            "pagination": {"nextToken": None, "hasMore": False},
            "requestId": "r",
        }
    )
    agent_status: int = 201
    bill: int = 2900
    has_fixes: bool = True
    is_fixed: bool = False
    seconds: float = 0
    scans: int = 0
    requests: list[ApiRequest] = field(default_factory=list[ApiRequest])

    def context(self) -> DemoContext:
        """Return the context of a demo on this mesh."""
        return DemoContext(
            api="http://api",
            tenant="demo-org",
            send_and_print=self.respond,
            send=self.respond,
            sign_in=lambda: "token",
            scan=self.scan,
            print_scan=lambda _: None,
            now=lambda: self.seconds,
            pause=self.pause,
        )

    def pause(self) -> None:
        """Advance the clock by a second."""
        self.seconds += 1

    def scan(self) -> list[Item]:
        """Return the ledger, which is empty until the usage has arrived."""
        self.scans += 1
        if self.scans <= self.late:
            return []
        item = {name: {"N": str(amount)} for name, amount in self.ledger.items()}
        return [{**item, "runId": {"S": _RUN}, "timestamp": {"S": "2026-11-23T00:08:51.229Z"}}]

    def respond(self, request: ApiRequest) -> ApiResponse:
        """Record a request, and return its response."""
        self.requests.append(request)
        return self._respond_to_lint(request) if "/lint/" in request.url else self._respond(request)

    def _respond(self, request: ApiRequest) -> ApiResponse:
        match request.method, request.url.removeprefix("http://api/v1/").partition("?")[0].rpartition("/")[2]:
            case "GET", "health":
                return ApiResponse(200, {"status": self.health})
            case "GET", "projects":
                return ApiResponse(200, self.projects)
            case "POST", "agents":
                return ApiResponse(self.agent_status, {"agent": {"agent_id": "agt_1"}})
            case "POST", "runs":
                return (
                    ApiResponse(201, {"run": self._run()})
                    if self.waits
                    else ApiResponse(202, {"run": self._run("queued")})
                )
            case "GET", "run_1":
                return ApiResponse(200, {"run": self._run()})
            case "GET", "events":
                return ApiResponse(200, {"events": [{"run_id": _RUN, "meters": self.events}]})
            case "GET", "usage":
                return ApiResponse(
                    200, {"usage": {"so_far": {"lines": [{"amount_cents": 2900}], "amount_cents": self.bill}}}
                )
            case _:
                return ApiResponse(200, {"daily": [{"date": "2026-11-23", "meters": self.daily}]})

    def _respond_to_lint(self, request: ApiRequest) -> ApiResponse:
        if request.url.endswith("/fix"):
            self.is_fixed = self.has_fixes
            return ApiResponse(201, {"fixed": {"agent_id": "agt_1", "version": 2}})
        findings = [] if self.is_fixed else [{"finding_id": "1", "rule_id": "AIN101", "fix": [{"op": "remove"}]}]
        return ApiResponse(
            201, {"lint": {"lint_id": "lnt_1", "summary": {"error": len(findings)}, "findings": findings}}
        )

    def _run(self, status: str | None = None) -> dict[str, Any]:
        return {
            "run_id": _RUN,
            "status": status or self.status,
            "output": {"message": "Hello"},
            "error": {"code": "ProviderFailed"},
            "usage": _USED,
            "attempts": [{"attempt": 1, "calls": [{"call": 1}]}],
        }
