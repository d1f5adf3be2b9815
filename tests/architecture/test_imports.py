"""What a function loads when it starts."""

import os
import subprocess
import sys
from importlib import import_module

import pytest

from infra.core.functions import API
from infra.services import SERVICES
from shared.declaration import Function
from tests.architecture.source import ROOT

HEAVY = ("openai", "anthropic", "stripe", "genai_prices", "boto3", "botocore.session", "aws_cdk", "httpx", "requests")
"""Provider SDKs take 0.2 to 1.5 s of CPU to import; an API function pays for none of them."""

WITH_ROUTES = [function for service in SERVICES for function in service.functions if function.routes]
WITHOUT_ROUTES = [function for service in SERVICES for function in service.functions if not function.routes]
ALL = [function for service in SERVICES for function in service.functions]


def loaded(code: str, **variables: str) -> set[str]:
    """Which of the heavy packages this code loads in a fresh interpreter."""
    report = f"import sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    # S603: the code is ours.
    answer = subprocess.run(  # noqa: S603
        [sys.executable, "-c", f"{code}; {report}"],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(answer.stdout.split())


@pytest.mark.parametrize("function", [API, *WITH_ROUTES], ids=lambda function: function.handler)
def test_an_api_function_loads_no_provider(function: Function) -> None:
    assert loaded(f"import {function.handler.rpartition('.')[0]}") == set()


@pytest.mark.parametrize("function", WITHOUT_ROUTES, ids=lambda function: function.handler)
def test_no_function_loads_the_clients_of_botocore_before_it_needs_one(function: Function) -> None:
    assert "botocore.session" not in loaded(f"import {function.handler.rpartition('.')[0]}")


def test_a_heavy_package_is_seen() -> None:
    assert loaded("import boto3") == {"boto3", "botocore.session"}


def test_what_a_snapshot_holds_is_loaded_before_it_is_taken() -> None:
    code = "import shared.storage.clients"
    assert loaded(code) == set()
    assert loaded(code, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") == {"botocore.session"}


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.handler)
def test_a_handler_is_there_and_can_be_called(function: Function) -> None:
    module, _, name = function.handler.rpartition(".")
    assert callable(getattr(import_module(module), name))
