"""The HTTP API for operators, in a function that may access the slice of every tenant."""

from services.metering import wiring
from services.metering.exports import api as exports
from shared.http.app import HttpApp

handler = HttpApp(exports.router, store=wiring.slice_store)
