"""The queue of the billing service."""

import json

from services.billing import table, wiring
from services.billing.consumer import consumer
from services.billing.domain import customer_of
from shared.plans import Plan
from shared.storage.items import Key
from shared.storage.store import Store
from tests.messages import batch
from tests.services.billing.tenants import created


class TestCreateCustomer:
    def test_makes_a_tenant_a_customer(self, store: Store) -> None:
        assert consumer(batch(created())) == {"batchItemFailures": []}
        assert table.find_customer(store, "demo-org") == customer_of(created())
        item = store.get(Key("TENANT#demo-org#BILLING", "CUSTOMER"))
        assert item
        assert (item["tenant_id"], item["plan"], item["billing"]) == ("demo-org", "pro", "manual")

    def test_keeps_what_decides_about_access(self, store: Store) -> None:
        consumer(batch(created()))
        assert wiring.copies().read("demo-org").plan == "pro"
        assert store.get(Key("TENANT#demo-org#BILLING", "COPY#TENANT"))

    def test_the_same_event_twice_leaves_the_customer_as_it_is(self, store: Store) -> None:
        consumer(batch(created()))
        assert consumer(batch(created(plan=Plan.FREE, seq=2), created())) == {"batchItemFailures": []}
        assert table.find_customer(store, "demo-org") == customer_of(created())

    def test_ignores_a_field_that_it_does_not_know(self, store: Store) -> None:
        assert consumer(batch(created(), extra={"colour": "blue"})) == {"batchItemFailures": []}
        assert table.find_customer(store, "demo-org")

    def test_does_the_rest_of_a_batch_with_a_poison_message(self, store: Store) -> None:
        records = batch(created("demo-org"), created("other-org"), created("third-org"))
        poison = json.loads(records["Records"][1]["body"])
        poison["detail"]["data"]["plan"] = "golden"
        records["Records"][1]["body"] = json.dumps(poison)
        assert consumer(records) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
        assert table.find_customer(store, "demo-org")
        assert table.find_customer(store, "other-org") is None
        assert table.find_customer(store, "third-org")
