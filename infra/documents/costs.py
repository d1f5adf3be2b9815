"""The cost model as a page."""

from infra.costs import counted, model
from infra.documents.markdown import table

_HEAD = """# What a million runs cost

`make docs` generates this page; `./ainexus cost-model` prints the same. Calls were counted on the local
engine by `make bench` ({at}), for waited runs one after another, from the request to the counted usage. Prices:
{source}, {region}, {as_of}. The costs of the model itself, and the time in which functions wait for it, are not
included.
"""
_ASSUMPTIONS = """## Assumptions

The calls and the CPU time were measured. The rest is calculated from these numbers, which are named in
[infra/costs/model.py](../infra/costs/model.py):

* On average, a transaction of a run writes {items} units and an update {update}; a read is one (consistent, up to
  4 KB). They were counted in the requests of a run: one unit for 1 KB, two in a transaction, and one more for each
  index entry that is added or deleted.
* A run publishes {events} events to {deliveries} consumers. A busy queue delivers {batch} messages at once.
* A function waits {call_ms} ms for an AWS call. CPU time costs the same with any memory below {full_mb} MB: it is
  slower in proportion to its price. A waited run pays for two functions meanwhile.
* A log line has {log_kb} kB with its share of Lambda's own lines; X-Ray takes one run in twenty.

## Not included

* The wait for the model. A worker of 512 MB that waits 10 s for one run alone costs $67 a million runs; it executes
  ten at once, and then it is $7.
* Costs that do not grow with runs: a tenant's summary, which is published some seconds after a change; the polling of
  empty queues (about $0.50 a month each), alarms, dashboards, schedules, secrets, users in Cognito, and storage.
* Transfer out, and objects in the bucket: only a run with more than 64 KB has any.
"""


def costs_markdown() -> str:
    """Return the page."""
    measured, listed = counted.read_measurement(), model.prices()
    lines = model.cost_of_run(measured)
    rows = [
        (line.component, line.unit, f"{line.quantity:.3f}", str(line.nano_usd), f"{line.usd_per_million:.2f}")
        for line in lines
    ]
    head = ("component", "what", "of one run", "nano-USD each", "USD per million runs")
    total = ("**in all**", "", "", "", f"**{model.total_usd(lines):.2f}**")
    dated = {name: listed[name] for name in ("source", "region", "as_of")}
    return "\n".join([_HEAD.format(at=measured.at[:10], **dated), *table(head, [*rows, total]), _assumptions()])


def _assumptions() -> str:
    return _ASSUMPTIONS.format(
        items=f"{model.UNITS['TransactWriteItems'].write:g}",
        update=f"{model.UNITS['UpdateItem'].write:g}",
        events=len(model.EVENTS),
        deliveries=model.DELIVERIES_PER_RUN,
        batch=model.MESSAGES_PER_BATCH,
        call_ms=model.CALL_MS,
        full_mb=model.FULL_CPU_MB,
        log_kb=model.LOG_LINE_KB,
    )
