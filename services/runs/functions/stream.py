"""The API function of streams."""

from services.runs.streaming import api as streaming
from shared.http.app import HttpApp

handler = HttpApp(streaming.router)
