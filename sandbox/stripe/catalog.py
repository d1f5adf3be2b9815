"""Products and prices."""

from copy import deepcopy
from decimal import Decimal

from sandbox.stripe.amounts import decimal_cents, plain
from sandbox.stripe.errors import StripeError, refuse
from sandbox.stripe.form import Params
from sandbox.stripe.rendering import render
from sandbox.stripe.routes import Routes, StripeCall, list_page, matching, merged
from sandbox.stripe.store import Json
from sandbox.stripe.world import StripeWorld

routes = Routes()

_TEXTS = ("description", "unit_label", "statement_descriptor", "url", "tax_code")
_MAX_LOOKUP_KEYS = 10


@routes.post("/v1/products")
def create_product(call: StripeCall) -> Json:
    """Create a product. The caller may choose its id."""
    world, params = call.world, call.params
    name = params.text("id") or world.new_id("prod")
    if world.store.find(name):
        raise StripeError(400, f"Product already exists: {name}.", "resource_already_exists", "id")
    active = params.boolean("active")
    product: Json = {
        "id": name,
        "object": "product",
        "active": active is not False,
        "created": world.now(),
        "default_price": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": params.free("metadata"),
        "name": params.required("name"),
        "package_dimensions": None,
        "shippable": None,
        "updated": world.now(),
        **{text: params.text(text) for text in _TEXTS},
    }
    world.emit("product.created", world.store.put(product))
    return render(product)


@routes.get("/v1/products")
def list_products(call: StripeCall) -> Json:
    """List all products, or those that are active, inactive or have these ids."""
    names = call.params.texts("ids")
    found = matching(call.world.store.all("product"), active=call.params.boolean("active"))
    return list_page(call, [one for one in found if not names or one["id"] in names], url="/v1/products")


@routes.get("/v1/products/{product}")
def get_product(call: StripeCall) -> Json:
    """Return a product."""
    return render(call.world.store.get("product", call.path["product"]))


@routes.post("/v1/products/{product}")
def change_product(call: StripeCall) -> Json:
    """Update a product."""
    world, params = call.world, call.params
    product = world.store.get("product", call.path["product"])
    before = deepcopy(product)
    for name in ("name", *_TEXTS):
        if name in params:
            product[name] = params.text(name)
    _take_active(product, params)
    product["metadata"] = merged(product["metadata"], params.free("metadata"))
    product["updated"] = world.now()
    return render(world.update(product, "product.updated", before=before))


@routes.post("/v1/prices")
def create_price(call: StripeCall) -> Json:
    """Create a licensed or metered price per unit."""
    world, params = call.world, call.params
    cents = _cents(params)
    recurring = _recurring(world, params.nested("recurring")) if "recurring" in params else None
    currency = params.required("currency")
    if currency != "usd":
        refuse(f"Invalid currency: {currency}; this Stripe knows usd alone", param="currency")
    key, nickname, active = params.text("lookup_key"), params.text("nickname"), params.boolean("active")
    _free_lookup_key(world, key, transfer=bool(params.boolean("transfer_lookup_key")))
    price: Json = {
        "id": world.new_id("price"),
        "object": "price",
        "active": active is not False,
        "billing_scheme": params.choice("billing_scheme", "per_unit"),
        "created": world.now(),
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": key,
        "metadata": params.free("metadata"),
        "nickname": nickname,
        "product": world.store.get("product", params.required("product"))["id"],
        "recurring": recurring,
        "tax_behavior": params.choice("tax_behavior", "unspecified", "exclusive", "inclusive"),
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring" if recurring else "one_time",
        "unit_amount": int(cents) if cents == int(cents) else None,
        "unit_amount_decimal": plain(cents),
    }
    world.emit("price.created", world.store.put(price))
    return render(price)


@routes.get("/v1/prices")
def list_prices(call: StripeCall) -> Json:
    """List all prices, or those of a product, a kind or these lookup keys."""
    params = call.params
    keys = params.texts("lookup_keys")
    if len(keys) > _MAX_LOOKUP_KEYS:
        refuse(f"You can look up {_MAX_LOOKUP_KEYS} lookup keys at most.", param="lookup_keys")
    filters = {"product": params.text("product"), "type": params.text("type"), "currency": params.text("currency")}
    found = matching(call.world.store.all("price"), active=params.boolean("active"), **filters)
    return list_page(call, [one for one in found if not keys or one["lookup_key"] in keys], url="/v1/prices")


@routes.get("/v1/prices/{price}")
def get_price(call: StripeCall) -> Json:
    """Return a price."""
    return render(call.world.store.get("price", call.path["price"]))


@routes.post("/v1/prices/{price}")
def change_price(call: StripeCall) -> Json:
    """Update a price. Its amount never changes."""
    world, params = call.world, call.params
    price = world.store.get("price", call.path["price"])
    before = deepcopy(price)
    if "nickname" in params:
        price["nickname"] = params.text("nickname")
    if "lookup_key" in params:
        key = params.text("lookup_key")
        if key != price["lookup_key"]:
            _free_lookup_key(world, key, transfer=bool(params.boolean("transfer_lookup_key")))
        price["lookup_key"] = key
    params.boolean("transfer_lookup_key")
    _take_active(price, params)
    price["metadata"] = merged(price["metadata"], params.free("metadata"))
    return render(world.update(price, "price.updated", before=before))


def _cents(params: Params) -> Decimal:
    integer_amount, exact = params.integer("unit_amount"), params.text("unit_amount_decimal")
    if (integer_amount is None) == (exact is None):
        refuse("You must specify one of `unit_amount` and `unit_amount_decimal`.", param="unit_amount")
    if integer_amount is not None and integer_amount < 0:
        raise StripeError(
            400, "This value must be greater than or equal to 0.", "parameter_invalid_integer", "unit_amount"
        )
    return (
        Decimal(integer_amount)
        if integer_amount is not None
        else decimal_cents(exact or "", param="unit_amount_decimal")
    )


def _recurring(world: StripeWorld, parameters: Params) -> Json:
    usage, meter = parameters.choice("usage_type", "licensed", "metered"), parameters.text("meter")
    if (usage == "metered") != (meter is not None):
        refuse("A metered price needs a meter, and no other price has one.", param="recurring[meter]")
    return {
        "interval": parameters.choice("interval", "month", "day", "week", "year"),
        "interval_count": parameters.integer("interval_count") or 1,
        "meter": world.store.get("billing.meter", meter)["id"] if meter else None,
        "usage_type": usage,
    }


def _free_lookup_key(world: StripeWorld, key: str | None, *, transfer: bool) -> None:
    for price in world.store.all("price"):
        if key is None or price["lookup_key"] != key:
            continue
        if not transfer:
            msg = f"A price (`{price['id']}`) already uses that lookup key."
            raise StripeError(400, msg, "resource_already_exists", "lookup_key")
        world.update({**price, "lookup_key": None}, "price.updated", before=price)


def _take_active(thing: Json, params: Params) -> None:
    active = params.boolean("active")
    if active is not None:
        thing["active"] = active
