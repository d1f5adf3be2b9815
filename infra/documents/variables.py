"""The environment variables as a page: of functions with their values, of the command line, and of tests."""

from collections.abc import Iterator, Mapping

from infra.documents.markdown import table
from infra.local.variables import SHARED
from infra.names import REGION, Names
from infra.profile import PROFILES

_HEAD = """# Environment variables

`make docs` generates this page. A test compares its names with the templates and the sources.

## Of functions

The same names hold a function's settings in every environment. Those in bold mean the same in every function, and
`ainexus up` writes them into `.env.local` for programs of your own.
"""
OF_FUNCTIONS: Mapping[str, str] = {
    "ENVIRONMENT": "the name of the environment",
    "ENTITIES_TABLE_NAME": "the table of agents and runs",
    "USAGE_TABLE_NAME": "the table of metering",
    "TENANTS_TABLE_NAME": "the table of tenants and billing",
    "ARTIFACTS_BUCKET_NAME": "the bucket of configs and of what is large",
    "EVENT_BUS_NAME": "the bus",
    "USER_POOL_ID": "the user pool; its id is known when it is deployed",
    "USER_POOL_CLIENT_ID": "the app client whose id tokens are accepted; its id is known when it is deployed",
    "CORS_ORIGINS": "the origins that a browser may call from, a JSON list",
    "PROVIDERS_WITHOUT_KEY": "`simulate` or `fail`: what becomes of a call to a provider without a key",
    "ALLOW_PRIVATE_BASE_URLS": "`true`: a config may name a server in a private network, also by plain http",
    "STRIPE_API_BASE": "where Stripe answers",
    "MAX_RUNS_PER_TENANT": "how many runs of one tenant execute at once, whatever its plan allows",
    "DATA_ROLE_ARN": "the role that a function assumes for one tenant; only where a function acts for one at a time",
    "POWERTOOLS_SERVICE_NAME": "the service, as its log lines name it",
    "PYDANTIC_DISABLE_PLUGINS": "`__all__`: pydantic does not look for plugins when a function starts",
    "TOKEN_ISSUER": "the authorizer's: the issuer of the user pool's tokens, below which its public keys are",
    "OUTBOXES": "the publisher's: the table of each slice, a JSON object",
    "DEAD_LETTERS_URL": "the publisher's: where an event goes that the bus refuses",
    "WORKER_FUNCTION_NAME": "of the functions that may invoke the worker: its name",
    "INBOX_QUEUE_URL": "of the function that takes webhooks: the queue of the one that handles them",
    "REPORTER_QUEUE_URL": "of the function that is asked for usage exports: the queue of the one that writes them",
}
OF_COMMANDS: Mapping[str, str] = {
    "AINEXUS_PORT": "the port of the local engine; 4566 unless set. The local Stripe takes the next one that is free",
    "AINEXUS_HOME": "where the local mesh keeps its state; `.ainexus` of the checkout unless set",
    "AINEXUS_STRIPE_API_BASE": "another Stripe than the local one, for example `https://api.stripe.com`",
    "AINEXUS_WARM_S": "for how long a function's process is kept on this machine; 300 unless set",
    "AINEXUS_ENGINE_LOG_LEVEL": "of the engine's own log; `INFO` unless set",
    "AINEXUS_ENGINE_PYTHON": "the interpreter that local bundles are built for; the engine's unless set",
    "AINEXUS_UV": "the `uv` that builds bundles; the checkout's unless set",
}
OF_TESTS: Mapping[str, str] = {
    "AINEXUS_TEST_HOME": "a folder whose mesh the journeys use again; without it they deploy one and remove it",
    "AINEXUS_BENCH_HOME": "the same for the measurements",
    "AINEXUS_CI": "set: what is missing on the machine fails a test that would be skipped",
    "AINEXUS_API": "the address of the API, for the programs of the guide to generated clients",
    "AINEXUS_TENANT": "the tenant that these programs use",
    "AINEXUS_TOKEN": "the id token that they send",
    "PROOF_EVENTS": "how many events the proof on the engine counts",
    "PROOF_SEED": "the seed of its faults",
    "PROOF_LIVES": "how many lives of subscriptions the journey of billing plays",
}


def variables_markdown() -> str:
    """Return the page."""
    lines = [_HEAD, *_of_functions(), "## Of the command line", "", *_named(OF_COMMANDS)]
    lines += [
        "The usual variables of AWS (`AWS_PROFILE`, `AWS_REGION`, `AWS_DEFAULT_REGION`, …) select the account of a",
        f"command with `--env dev`, `staging` or `prod`. The default region is {REGION}. With `--env local` they are",
        "ignored. `HTTPS_PROXY` and `PIP_INDEX_URL` apply to all installations.",
        "",
        "## Of tests and measurements",
        "",
        *_named(OF_TESTS),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _of_functions() -> Iterator[str]:
    values = {name: _values(name) for name in PROFILES}
    rows = (
        (f"**`{name}`**" if name in SHARED else f"`{name}`", what, *(_value(values[env].get(name)) for env in PROFILES))
        for name, what in OF_FUNCTIONS.items()
    )
    yield from table(("name", "what", *PROFILES), rows)


def _values(environment: str) -> dict[str, str]:
    """Return the variables whose value is known before a deployment."""
    return {**PROFILES[environment].variables, **Names(environment, "<account>").variables}


def _value(value: str | None) -> str:
    return f"`{value}`" if value else ""


def _named(names: Mapping[str, str]) -> Iterator[str]:
    yield from table(("name", "what"), ((f"`{name}`", what) for name, what in names.items()))
