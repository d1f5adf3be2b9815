"""Plain HTML pages without scripts."""

from html import escape

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 34rem; padding: 0 1rem; color: #1a1f36 }
table { border-collapse: collapse; width: 100% }
td, th { border-bottom: 1px solid #ddd; padding: .4rem; text-align: left }
td.money, th.money { text-align: right } fieldset { border: 1px solid #ccc; border-radius: 6px; margin: 1rem 0 }
label { display: block; margin: .5rem 0 } input { font: inherit; padding: .3rem }
button { font: inherit; padding: .5rem 1rem; margin: .3rem .3rem .3rem 0 }
.problem { background: #fde8e8; padding: .6rem } .note { background: #eef4ff; padding: .6rem }
"""


def page(title: str, *parts: str, problem: str = "", note: str = "") -> str:
    """Build a page. `problem` and `note` come first."""
    messages = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
    messages += f'<p class="note" role="status">{escape(note)}</p>' if note else ""
    no_icon = '<link rel="icon" href="data:,">'
    head = f'<meta charset="utf-8">{no_icon}<title>{escape(title)}</title><style>{_STYLE}</style>'
    body = f"<main><h1>{escape(title)}</h1>{messages}{''.join(parts)}</main>"
    test = "<footer><small>Local Stripe, test mode. No money moves.</small></footer>"
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}{test}</body></html>'


def text(words: str) -> str:
    """Build a paragraph."""
    return f"<p>{escape(words)}</p>"


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Build a table whose last column contains amounts."""
    top = _row("th", heads)
    return f"<table><thead>{top}</thead><tbody>{''.join(_row('td', row) for row in rows)}</tbody></table>"


def form(legend: str, *inside: str) -> str:
    """Build a form that posts to the page's own address."""
    return f'<form method="post"><fieldset><legend>{escape(legend)}</legend>{"".join(inside)}</fieldset></form>'


def button(action: str, label: str) -> str:
    """Build a button that posts the form with `action`."""
    return f'<button type="submit" name="action" value="{escape(action)}">{escape(label)}</button>'


def card_number(value: str = "4242 4242 4242 4242") -> str:
    """Build the field for a card number, with an explanation of Stripe's test cards."""
    tells = "4242 4242 4242 4242 pays; 4000 0000 0000 0002 is declined; 4000 0000 0000 0341 fails later."
    return (
        f'<label for="number">Card number</label><input id="number" name="number" value="{escape(value)}"'
        f' inputmode="numeric" autocomplete="off" aria-describedby="cards"> <small id="cards">{tells}</small><p>'
    )


def choice(name: str, value: str, label: str, *, chosen: bool) -> str:
    """Build a choice of one among several options."""
    mark = " checked" if chosen else ""
    which = f"{name}-{value}"
    return (
        f'<label for="{escape(which)}"><input type="radio" id="{escape(which)}" name="{escape(name)}"'
        f' value="{escape(value)}"{mark}> {escape(label)}</label>'
    )


def link(address: str, label: str) -> str:
    """Build a link."""
    return f'<p><a href="{escape(address)}">{escape(label)}</a></p>'


def dollars(cents: int) -> str:
    """Format an amount in cents for a page."""
    sign, total = ("-" if cents < 0 else ""), abs(cents)
    return f"{sign}${total // 100:,}.{total % 100:02d}"


def _row(cell: str, values: tuple[str, ...]) -> str:
    cells = [f"<{cell}>{escape(value)}</{cell}>" for value in values[:-1]]
    return f'<tr>{"".join(cells)}<{cell} class="money">{escape(values[-1])}</{cell}></tr>'
