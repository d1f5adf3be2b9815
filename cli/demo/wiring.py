"""`demo`: the whole way, from nothing to a counted token, with the real answers on the screen."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from cli import seed
from cli.admin import ask
from cli.api import Answer, Request, Send, curl_of, send
from cli.demo.billing import Counter, Payer
from cli.demo.screen import Screen
from cli.demo.usage import Item, Walk, WalkFailed, World, expect
from cli.reconciliation.comparison import Reconciliation, rows_of
from cli.sign_in import sign_in
from cli.target import Target, for_target
from infra.local.model import NAME, LocalModel, Serving
from shared.ids import new_id
from shared.times import utc_now

_USER = "admin@demo-org.com"
_TENANT = "demo-org"

_NEXT = """
What to try next
  ./ainexus status                                     how the mesh is
  ./ainexus token --user dev@demo-org.com              a token for curl
  ./ainexus logs runs --follow                         what the services say
  ./ainexus dead-letters list                          what could not be handled
  ./ainexus reconcile                                  whether everything says the same
  ./ainexus outputs --format ts                        the settings of a front end
  curl -s {api}/v1/openapi.json   the whole API
  make down                                            stop; all data stays
"""


@click.command()
@click.option("--model", type=click.Choice(["local"]), help="Run the agent on a small real model of this machine.")
@for_target
def demo(target: Target, *, model: str | None) -> int:
    """Bring the mesh up, seed it, and walk through it.

    The exit code is 0 only when every step is as it should be.
    """
    target.refuse_unless_local("demo")
    screen = Screen(as_json=target.as_json)
    target.mesh.up()
    screen.title("The default tenants and users")
    screen.lines(seed.lines_of(seed.sow(target, temporary_password=seed.new_password())))
    world = _world(target, screen)
    if model is None:
        return _walk(world, screen, payer=_payer(target, screen, world))
    with LocalModel(target.mesh.home, target.mesh.progress).served() as serving:
        config = {"model": NAME, "base_url": serving.base_url, "max_output_tokens": 60, "temperature": 0}
        return _walk(replace(world, config=config), screen, serving=serving)


def _world(target: Target, screen: Screen) -> World:
    def shown(request: Request) -> Answer:
        screen.command(curl_of(request))
        answer = send(request)
        screen.answer(answer)
        return answer

    return World(
        api=target.outputs["ApiEndpoint"],
        tenant=_TENANT,
        send=shown,
        ask=send,
        sign_in=lambda: _token(target, screen),
        scan=lambda: _scan(target),
        show_scan=lambda items: _show_scan(target, screen, items),
        now=time.monotonic,
        pause=lambda: time.sleep(0.1),
    )


def _payer(target: Target, screen: Screen, world: World) -> Payer | None:
    """The walk of a tenant that pays; None where the mesh speaks to another Stripe, which nobody may play with."""
    if "StripeEndpoint" not in target.outputs:
        return None
    return Payer(counter_of(target, show=world.send), title=screen.title, note=screen.note)


def counter_of(target: Target, *, show: Send) -> Counter:
    """What a tenant that is made for this alone does its walk on."""
    tenant = f"payer-{new_id('t', utc_now())[-8:].lower()}"

    def operate(service: str, command: str, **given: object) -> dict[str, Any]:
        return ask(target, command, service=service, **given)

    books = Reconciliation(tenant, operate, now=utc_now, pause=time.sleep)
    return Counter(
        api=target.outputs["ApiEndpoint"],
        stripe=target.outputs["StripeEndpoint"],
        tenant=tenant,
        token=sign_in(target, seed.PLATFORM_ADMIN).token,
        send=show,
        ask=send,
        operate=operate,
        drift=lambda: rows_of(tenant, books.look_twice().drift),
        wall=utc_now,
        now=time.monotonic,
        pause=lambda: time.sleep(0.1),
    )


def _walk(world: World, screen: Screen, *, serving: Serving | None = None, payer: Payer | None = None) -> int:
    try:
        seen = Walk(world, title=screen.title, note=screen.note).go()
        if payer:
            seen["paid"] = payer.go()
        if serving:
            _compare(seen["usage"], serving, screen)
    except WalkFailed as failure:
        screen.failed(str(failure))
        return 1
    screen.passed(seen)
    screen.lines(_NEXT.format(api=world.api).splitlines())
    return 0


def _compare(usage: Mapping[str, int], serving: Serving, screen: Screen) -> None:
    """The model's own count, asked of its server, is what was metered."""
    screen.title("The model's own count")
    own, metered = serving.counted(), (usage["tokens_in"], usage["tokens_out"])
    expect(own == metered, f"the model has counted {own} tokens in and out; metered are {metered}")
    screen.note(f"{NAME} has read {own[0]} and written {own[1]} tokens, and that is what was metered")


def _token(target: Target, screen: Screen) -> str:
    screen.command(f"export TOKEN=$(./ainexus token --user {_USER})")
    signed_in = sign_in(target, _USER)
    screen.data(
        {name: signed_in.claims.get(name) for name in ("email", "custom:tenant_id", "custom:role", "token_use")}
    )
    return signed_in.token


def _scan(target: Target) -> list[Item]:
    """The tenant's items in the table of usage, as an operator finds them."""
    pages = target.clients.dynamodb.get_paginator("scan").paginate(
        TableName=target.outputs["UsageTableName"],
        FilterExpression="tenantId = :tid",
        ExpressionAttributeValues={":tid": {"S": _TENANT}},
    )
    return [item for page in pages for item in page["Items"]]


def _show_scan(target: Target, screen: Screen, items: Sequence[Item]) -> None:
    values = json.dumps({":tid": {"S": _TENANT}})
    screen.command(
        f"aws dynamodb scan --endpoint-url {target.outputs['EngineEndpoint']} --region {target.clients.region} \\\n"
        f"     --table-name {target.outputs['UsageTableName']} \\\n"
        f"     --filter-expression 'tenantId = :tid' --expression-attribute-values '{values}'"
    )
    screen.data(items)
