"""The cost model as a page."""

from infra.costs import counted, model
from infra.documents.markdown import table

_HEAD = """# What a million runs cost

Written by `make docs`; `./ainexus cost-model` prints the same. Calls were counted on the local engine by `make bench`
({at}), of waited runs that came one by one, from the request to the counted usage. Prices: {source}, {region}, {as_of}.
What the model itself costs, and the time in which functions wait for it, are not in it.
"""
_ASSUMED = """## What is assumed

Counted are the calls and the CPU time. The rest is arithmetic with these numbers, each named in
[infra/costs/model.py](../infra/costs/model.py):

* On the average of those of a run a transaction writes {items} units and an update {update}; a read is one
  (consistent, up to 4 KB). They were read off the requests of a run: one unit for 1 KB, two in a transaction, and one
  more for each entry of an index that is made or taken away.
* A run says {events} events, which wake {deliveries} consumers. A queue that is busy gives {batch} messages at once.
* A function waits {call_ms} ms for an AWS call. CPU time costs the same with any memory below {full_mb} MB: it is
  slower by as much as it is cheaper. Who waits for a run pays for two functions meanwhile.
* A log line has {log_kb} kB with its share of Lambda's own lines; X-Ray takes one run in twenty.

## What is left out

* The wait for the model. A worker of 512 MB that waits 10 s for one run alone costs $67 a million runs; it executes
  ten at once, and then it is $7.
* What does not grow with runs: a tenant's summary, said some seconds after it has changed; the polling of queues that
  are empty (about $0.50 a month for each), alarms, dashboards, schedules, secrets, users in Cognito, and what is
  stored.
* Transfer out, and objects in the bucket: only a run with more than 64 KB has any.
"""


def costs_markdown() -> str:
    """The page."""
    measured, listed = counted.read(), model.prices()
    lines = model.cost_of_run(measured)
    rows = [
        (line.component, line.what, f"{line.quantity:.3f}", str(line.nano_usd), f"{line.usd_per_million:.2f}")
        for line in lines
    ]
    head = ("component", "what", "of one run", "nano-USD each", "USD per million runs")
    total = ("**in all**", "", "", "", f"**{model.total_usd(lines):.2f}**")
    said = {name: listed[name] for name in ("source", "region", "as_of")}
    return "\n".join([_HEAD.format(at=measured.at[:10], **said), *table(head, [*rows, total]), _assumed()])


def _assumed() -> str:
    return _ASSUMED.format(
        items=f"{model.UNITS['TransactWriteItems'].write:g}",
        update=f"{model.UNITS['UpdateItem'].write:g}",
        events=len(model.EVENTS),
        deliveries=model.DELIVERIES,
        batch=model.BATCH,
        call_ms=model.CALL_MS,
        full_mb=model.FULL_CPU_MB,
        log_kb=model.LOG_LINE_KB,
    )
