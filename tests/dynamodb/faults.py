"""Fault injection between a function and any table."""

import random
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from tests.dynamodb.memory import cancelled


class Fault(StrEnum):
    """The fault of a call."""

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
    LOST_RESPONSE = "the request is executed, but the response does not arrive"
    CRASH_BEFORE = "the function crashes before the call"
    CRASH_AFTER = "the function crashes after the call"


ACTION_FAULTS = (
    Fault.CONFLICT,
    Fault.THROTTLED_ACTION,
    Fault.EXCEEDED_ACTION,
    Fault.COLLECTION_FULL,
    Fault.INVALID_ACTION,
)
"""Reasons of a cancelled transaction other than a failed condition."""

CALL_FAULTS = tuple(fault for fault in Fault if fault not in ACTION_FAULTS)


class Crash(BaseException):
    """The function crashed. The product does not catch this exception."""


class FaultyDynamoDB:
    """A client whose calls fail at random.

    Args:
        client: the client that executes the calls.
        rate: the ratio of calls that fail.
        chance: the generator that selects the calls and their faults.
    """

    def __init__(self, client: Any, *, rate: float, chance: random.Random) -> None:  # noqa: ANN401 — botocore makes clients from data
        self._client = client
        self._rate = rate
        self._chance = chance
        self.fault_counts = dict.fromkeys(Fault, 0)

    def get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Call GetItem."""
        return self._call("get_item", arguments, CALL_FAULTS)

    def batch_get_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Call BatchGetItem."""
        return self._call("batch_get_item", arguments, CALL_FAULTS)

    def batch_write_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Call BatchWriteItem."""
        return self._call("batch_write_item", arguments, CALL_FAULTS)

    def query(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Call Query."""
        return self._call("query", arguments, CALL_FAULTS)

    def update_item(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Call UpdateItem."""
        return self._call("update_item", arguments, CALL_FAULTS)

    def transact_write_items(self, **arguments: Any) -> Any:  # noqa: ANN401 — as botocore's
        """Call TransactWriteItems, which can also be cancelled."""
        return self._call("transact_write_items", arguments, tuple(Fault))

    def _call(self, name: str, arguments: dict[str, Any], faults: tuple[Fault, ...]) -> Any:  # noqa: ANN401 — as botocore's
        fault = self._chance.choice(faults) if self._chance.random() < self._rate else None
        if fault:
            self.fault_counts[fault] += 1
            self._fail_before(fault, arguments)
        response = getattr(self._client, name)(**arguments)
        match fault:
            case Fault.LOST_RESPONSE:
                raise ReadTimeoutError(endpoint_url="dynamodb")
            case Fault.CRASH_AFTER:
                raise Crash
            case _:
                return response

    def _fail_before(self, fault: Fault, arguments: dict[str, Any]) -> None:
        match fault:
            case Fault.LOST_RESPONSE | Fault.CRASH_AFTER:
                return
            case Fault.LOST_REQUEST:
                raise ConnectTimeoutError(endpoint_url="dynamodb")
            case Fault.CRASH_BEFORE:
                raise Crash
            case _ if fault in ACTION_FAULTS:
                reasons = [{"Code": "None"} for _ in arguments["TransactItems"]]
                reasons[self._chance.randrange(len(reasons))] = {"Code": fault.value}
                raise cancelled(reasons)
            case _:
                raise ClientError({"Error": {"Code": fault.value, "Message": fault.value}}, "DynamoDB")
