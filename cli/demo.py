"""`demo`: the whole way, from nothing to a counted token, with the real answers on the screen."""

import json
import time
from collections.abc import Sequence

import click

from cli import seed
from cli.api import Answer, Request, curl_of, send
from cli.screen import Screen
from cli.sign_in import sign_in
from cli.target import Target, for_target
from cli.walk import Item, Walk, WalkFailed, World

_USER = "admin@demo-org.com"
_TENANT = "demo-org"

_NEXT = """
What to try next
  ./ainexus status                                     how the mesh is
  ./ainexus token --user dev@demo-org.com              a token for curl
  ./ainexus logs runs --follow                         what the services say
  ./ainexus dead-letters list                          what could not be handled
  ./ainexus outputs --format ts                        the settings of a front end
  curl -s {api}/v1/openapi.json   the whole API
  make down                                            stop; all data stays
"""


@click.command()
@for_target
def demo(target: Target) -> int:
    """Bring the mesh up, seed it, and walk through it.

    The exit code is 0 only when every step is as it should be.
    """
    target.refuse_unless_local("demo")
    screen = Screen(as_json=target.as_json)
    target.mesh.up()
    screen.title("The default tenants and users")
    screen.lines(seed.lines_of(seed.sow(target, temporary_password=seed.new_password())))
    return _walk(target, screen)


def _walk(target: Target, screen: Screen) -> int:
    api = target.outputs["ApiEndpoint"]

    def shown(request: Request) -> Answer:
        screen.command(curl_of(request))
        answer = send(request)
        screen.answer(answer)
        return answer

    world = World(
        api=api,
        tenant=_TENANT,
        send=shown,
        ask=send,
        sign_in=lambda: _token(target, screen),
        scan=lambda: _scan(target),
        show_scan=lambda items: _show_scan(target, screen, items),
        now=time.monotonic,
        pause=lambda: time.sleep(0.1),
    )
    try:
        seen = Walk(world, title=screen.title, note=screen.note).go()
    except WalkFailed as failure:
        screen.failed(str(failure))
        return 1
    screen.passed(seen)
    screen.lines(_NEXT.format(api=api).splitlines())
    return 0


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
