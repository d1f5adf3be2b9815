"""The demo on a real mesh."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cli.admin import invoke_command
from cli.api import ApiRequest, ApiResponse, Send, format_curl, send
from cli.demo.billing import BillingDemo, BillingDemoContext
from cli.demo.counts import Item
from cli.demo.expectation import DemoFailed, expect
from cli.demo.screen import Screen
from cli.demo.usage import DemoContext, UsageDemo
from cli.password import new_password
from cli.reconciliation.comparison import Reconciliation
from cli.reconciliation.report import rows_of
from cli.seed import PLATFORM_ADMIN, lines_of, seed_mesh
from cli.sign_in import sign_in
from cli.target import Target
from infra.local.model import NAME, LocalModel, ServedModel
from shared.ids import new_id
from shared.times import utc_now

_USER = "admin@demo-org.com"
_TENANT = "demo-org"
_POLL_INTERVAL_S = 0.1

_NEXT_STEPS = """
Next steps
  ./ainexus status                                     show the state of the mesh
  ./ainexus token --user dev@demo-org.com              print a token for curl
  ./ainexus logs runs --follow                         follow the logs of a service
  ./ainexus dead-letters list                          list messages that could not be handled
  ./ainexus reconcile                                  compare all records of usage
  ./ainexus outputs --format ts                        print the configuration of a front end
  curl -s {api}/v1/openapi.json   the whole API
  make down                                            stop the mesh and keep all data
"""


def run_demo(target: Target, *, with_model: bool) -> int:
    """Start and seed the mesh, run the demo, and return the exit code."""
    screen = Screen(as_json=target.as_json)
    target.mesh.up()
    screen.title("Create the default tenants and users")
    screen.lines(lines_of(seed_mesh(target, temporary_password=new_password())))
    context = _demo_context(target, screen)
    if not with_model:
        return _run(context, screen, billing=_billing_demo(target, screen, context))
    with LocalModel(target.mesh.home, target.mesh.progress).serve() as serving:
        config = {"model": NAME, "base_url": serving.base_url, "max_output_tokens": 60, "temperature": 0}
        return _run(replace(context, config=config), screen, serving=serving)


def _demo_context(target: Target, screen: Screen) -> DemoContext:
    def send_and_print(request: ApiRequest) -> ApiResponse:
        screen.command(format_curl(request))
        response = send(request)
        screen.response(response)
        return response

    return DemoContext(
        api=target.outputs["ApiEndpoint"],
        tenant=_TENANT,
        send_and_print=send_and_print,
        send=send,
        sign_in=lambda: _sign_in(target, screen),
        scan=lambda: _scan(target),
        print_scan=lambda items: _print_scan(target, screen, items),
        now=time.monotonic,
        pause=lambda: time.sleep(_POLL_INTERVAL_S),
    )


def _billing_demo(target: Target, screen: Screen, context: DemoContext) -> BillingDemo | None:
    """Return the billing demo; None if the mesh uses a Stripe that is not the local one."""
    if "StripeEndpoint" not in target.outputs:
        return None
    billing = billing_context(target, send_and_print=context.send_and_print)
    return BillingDemo(billing, title=screen.title, note=screen.note)


def billing_context(target: Target, *, send_and_print: Send) -> BillingDemoContext:
    """Return the context of a billing demo with a new tenant id."""
    tenant = f"payer-{new_id('t', utc_now())[-8:].lower()}"

    def invoke(service: str, command: str, **arguments: object) -> dict[str, Any]:
        return invoke_command(target, command, service=service, **arguments)

    reconciliation = Reconciliation(tenant, invoke, now=utc_now, pause=time.sleep)
    return BillingDemoContext(
        api=target.outputs["ApiEndpoint"],
        stripe=target.outputs["StripeEndpoint"],
        tenant=tenant,
        token=sign_in(target, PLATFORM_ADMIN).token,
        send_and_print=send_and_print,
        send=send,
        invoke=invoke,
        reconcile=lambda: rows_of(tenant, reconciliation.compare().drift),
        utc_now=utc_now,
        now=time.monotonic,
        pause=lambda: time.sleep(_POLL_INTERVAL_S),
    )


def _run(
    context: DemoContext, screen: Screen, *, serving: ServedModel | None = None, billing: BillingDemo | None = None
) -> int:
    try:
        seen = UsageDemo(context, title=screen.title, note=screen.note).run()
        if billing:
            seen["paid"] = billing.run()
        if serving:
            _compare_with_model(seen["usage"], serving, screen)
    except DemoFailed as failure:
        screen.failed(str(failure))
        return 1
    screen.passed(seen)
    screen.lines(_NEXT_STEPS.format(api=context.api).splitlines())
    return 0


def _compare_with_model(usage: Mapping[str, int], serving: ServedModel, screen: Screen) -> None:
    """Compare the model server's own token counts with the usage of the run."""
    screen.title("Compare with the model's own count")
    own, metered = serving.token_counts(), (usage["tokens_in"], usage["tokens_out"])
    expect(own == metered, f"the model counted {own} tokens in and out, but {metered} were metered")
    screen.note(f"{NAME} counted {own[0]} tokens in and {own[1]} out, as metered")


def _sign_in(target: Target, screen: Screen) -> str:
    screen.command(f"export TOKEN=$(./ainexus token --user {_USER})")
    signed_in = sign_in(target, _USER)
    screen.data(
        {name: signed_in.claims.get(name) for name in ("email", "custom:tenant_id", "custom:role", "token_use")}
    )
    return signed_in.token


def _scan(target: Target) -> list[Item]:
    """Return the tenant's items in the usage table, with an operator's access."""
    pages = target.clients.dynamodb.get_paginator("scan").paginate(
        TableName=target.outputs["UsageTableName"],
        FilterExpression="tenantId = :tid",
        ExpressionAttributeValues={":tid": {"S": _TENANT}},
    )
    return [item for page in pages for item in page["Items"]]


def _print_scan(target: Target, screen: Screen, items: Sequence[Item]) -> None:
    values = json.dumps({":tid": {"S": _TENANT}})
    screen.command(
        f"aws dynamodb scan --endpoint-url {target.outputs['EngineEndpoint']} --region {target.clients.region} \\\n"
        f"     --table-name {target.outputs['UsageTableName']} \\\n"
        f"     --filter-expression 'tenantId = :tid' --expression-attribute-values '{values}'"
    )
    screen.data(items)
