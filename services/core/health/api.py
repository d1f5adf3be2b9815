"""Health: whether the API is available, without a token."""

import os

from aws_lambda_powertools.event_handler import Response

from shared.http.call import CurrentCall
from shared.http.responses import ResponseBody, ok
from shared.http.router import Router
from shared.times import to_text
from shared.version import VERSION

router = Router()


class Health(ResponseBody):
    """The API is available."""

    status: str
    timestamp: str
    environment: str
    version: str


@router.route("GET", "/v1/health", min_role=None)
def get_health(call: CurrentCall) -> Response[Health]:
    """Check whether the API is available."""
    environment = os.environ["ENVIRONMENT"]
    return ok(Health(status="healthy", timestamp=to_text(call.now), environment=environment, version=VERSION))
