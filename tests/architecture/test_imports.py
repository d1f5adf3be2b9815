"""What a function loads when it starts."""

import subprocess
import sys
from importlib import import_module

import pytest

from infra.core.functions import API
from infra.services import SERVICES
from shared.declaration import Function
from tests.architecture.source import ROOT

HEAVY = ("openai", "anthropic", "stripe", "genai_prices", "boto3", "aws_cdk", "httpx", "requests")
"""Provider SDKs take 0.2 to 1.5 s of CPU to import; an API function pays for none of them."""

WITH_ROUTES = [function for service in SERVICES for function in service.functions if function.routes]
ALL = [function for service in SERVICES for function in service.functions]


def loaded(code: str) -> set[str]:
    """Which of the heavy packages this code loads in a fresh interpreter."""
    report = f"import sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    # S603: the code is ours.
    answer = subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"{code}; {report}"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(answer.stdout.split())


@pytest.mark.parametrize("function", [API, *WITH_ROUTES], ids=lambda function: function.handler)
def test_an_api_function_loads_no_provider(function: Function) -> None:
    assert loaded(f"import {function.handler.rpartition('.')[0]}") == set()


def test_a_heavy_package_is_seen() -> None:
    assert loaded("import boto3") == {"boto3"}


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.handler)
def test_a_handler_is_there_and_can_be_called(function: Function) -> None:
    module, _, name = function.handler.rpartition(".")
    assert callable(getattr(import_module(module), name))
