"""Everything that can go wrong between a function and its table, in front of any table."""

import random
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from tests.dynamodb.memory import cancelled


class Fault(StrEnum):
    """What happens to one call."""

    CONFLICT = "TransactionConflict"
    THROTTLED_ACTION = "ThrottlingError"
    EXCEEDED_ACTION = "ProvisionedThroughputExceeded"
    COLLECTION_FULL = "ItemCollectionSizeLimitExceeded"
    INVALID_ACTION = "ValidationError"
    THROTTLED = "ThrottlingException"
    EXCEEDED = "ProvisionedThroughputExceededException"
    LIMITED = "RequestLimitExceeded"
    IN_PROGRESS = "TransactionInProgressException"
    BROKEN = "InternalServerError"
    LOST_REQUEST = "the request does not arrive"
    LOST_ANSWER = "it is carried out, but the answer does not arrive"
    CRASH_BEFORE = "the function dies before the call"
    CRASH_AFTER = "the function dies after the call"


OF_ACTIONS = (
    Fault.CONFLICT,
    Fault.THROTTLED_ACTION,
    Fault.EXCEEDED_ACTION,
    Fault.COLLECTION_FULL,
    Fault.INVALID_ACTION,
)
"""Reasons for which a transaction is cancelled, besides a failed condition."""

OF_CALLS = tuple(fault for fault in Fault if fault not in OF_ACTIONS)


class Crash(BaseException):
    """The function is gone; nobody handles this."""


class FaultyDynamoDB:
    """A client that fails every so often.

    Args:
        client: does the work.
        rate: of the calls that fail.
        chance: decides which, and how.
    """

    def __init__(self, client: Any, *, rate: float, chance: random.Random) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._rate = rate
        self._chance = chance
        self.happened = dict.fromkeys(Fault, 0)

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """A call."""
        return self._call("get_item", arguments, OF_CALLS)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """A call."""
        return self._call("batch_get_item", arguments, OF_CALLS)

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """A call."""
        return self._call("batch_write_item", arguments, OF_CALLS)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """A call."""
        return self._call("query", arguments, OF_CALLS)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """A call."""
        return self._call("update_item", arguments, OF_CALLS)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """A call that can be cancelled too."""
        return self._call("transact_write_items", arguments, tuple(Fault))

    def _call(self, name: str, arguments: dict[str, Any], faults: tuple[Fault, ...]) -> Any:  # noqa: ANN401 — as above
        fault = self._chance.choice(faults) if self._chance.random() < self._rate else None
        if fault:
            self.happened[fault] += 1
            self._fail_before(fault, arguments)
        answer = getattr(self._client, name)(**arguments)
        match fault:
            case Fault.LOST_ANSWER:
                raise ReadTimeoutError(endpoint_url="dynamodb")
            case Fault.CRASH_AFTER:
                raise Crash
            case _:
                return answer

    def _fail_before(self, fault: Fault, arguments: dict[str, Any]) -> None:
        match fault:
            case Fault.LOST_ANSWER | Fault.CRASH_AFTER:
                return
            case Fault.LOST_REQUEST:
                raise ConnectTimeoutError(endpoint_url="dynamodb")
            case Fault.CRASH_BEFORE:
                raise Crash
            case _ if fault in OF_ACTIONS:
                reasons = [{"Code": "None"} for _ in arguments["TransactItems"]]
                reasons[self._chance.randrange(len(reasons))] = {"Code": fault.value}
                raise cancelled(reasons)
            case _:
                raise ClientError({"Error": {"Code": fault.value, "Message": fault.value}}, "DynamoDB")
