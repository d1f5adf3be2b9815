"""The modules that a function loads when it starts."""

import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from importlib import import_module

import pytest

from infra.services import SERVICES
from services.core.service import API
from shared.declaration import Function
from tests.architecture.source import ROOT

HEAVY = (
    "openai",
    "anthropic",
    "stripe",
    "genai_prices",
    "boto3",
    "botocore.session",
    "aws_cdk",
    "aws_xray_sdk",
    "httpx",
    "requests",
)
"""Provider SDKs take 0.2 to 1.5 s of CPU to import; an API function pays for none of them."""

WITH_ROUTES = [function for service in SERVICES for function in service.functions if function.routes]
WITHOUT_ROUTES = [function for service in SERVICES for function in service.functions if not function.routes]
ALL = [function for service in SERVICES for function in service.functions]


def loaded(code: str, **variables: str) -> set[str]:
    """Which of the heavy packages this code loads in a fresh interpreter."""
    report = f"import sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    return set(printed(f"{code}; {report}", **variables))


def printed(code: str, **variables: str) -> list[str]:
    """Return the words that this code prints in a fresh interpreter."""
    # S603: the code is ours.
    answer = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return answer.stdout.split()


@cache
def loaded_together(modules: tuple[str, ...]) -> set[str]:
    """Return the heavy packages that these modules load in one interpreter."""
    return loaded(f"import {', '.join(modules)}")


def loaded_by(function: Function, among: Sequence[Function]) -> set[str]:
    """Return the heavy packages that a function loads.

    One interpreter imports all of `among`. Only the packages that it has loaded need an interpreter for each function.
    """
    modules = tuple(one.handler.rpartition(".")[0] for one in among)
    found = loaded_together(modules)
    return found and loaded(f"import {function.handler.rpartition('.')[0]}")


@pytest.mark.parametrize("function", [API, *WITH_ROUTES], ids=lambda function: function.handler)
def test_an_api_function_loads_no_provider(function: Function) -> None:
    assert loaded_by(function, [API, *WITH_ROUTES]) == set()


@pytest.mark.parametrize("function", WITHOUT_ROUTES, ids=lambda function: function.handler)
def test_no_function_loads_a_client_of_botocore_or_the_tracer_before_it_needs_one(function: Function) -> None:
    assert {"botocore.session", "aws_xray_sdk"} & loaded_by(function, WITHOUT_ROUTES) == set()


def test_a_heavy_package_is_seen() -> None:
    assert loaded("import boto3") == {"boto3", "botocore.session"}


def test_what_a_snapshot_holds_is_loaded_before_it_is_taken() -> None:
    code = "import shared.aws.clients"
    assert loaded(code) == set()
    assert loaded(code, AWS_LAMBDA_INITIALIZATION_TYPE="snap-start") == {"botocore.session", "aws_xray_sdk"}


def test_a_function_reads_no_docstrings_when_it_starts() -> None:
    code = "from services.core.health.api import Health; print(Health.model_config['use_attribute_docstrings'])"
    assert printed(code) == ["True"]
    assert printed(code, AWS_LAMBDA_FUNCTION_NAME="ainexus-test-api") == ["False"]


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.handler)
def test_a_handler_is_there_and_can_be_called(function: Function) -> None:
    module, _, name = function.handler.rpartition(".")
    assert callable(getattr(import_module(module), name))
