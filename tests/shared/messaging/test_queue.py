"""Queues to which functions of the same service send messages."""

import json

from pydantic import BaseModel

from shared.messaging.queue import QueueConsumer


class Number(BaseModel):
    """A message."""

    number: int


def test_returns_only_failed_messages() -> None:
    handled: list[int] = []

    def handle(message: Number) -> None:
        if message.number == 2:
            raise ArithmeticError
        handled.append(message.number)

    bodies = ['{"number": 1}', '{"number": 2}', "nonsense", '{"number": 3, "colour": "blue"}']
    records = [{"messageId": f"m-{index}", "body": body} for index, body in enumerate(bodies)]
    response = QueueConsumer("things.inbox", Number, handle)({"Records": records})
    assert handled == [1, 3]
    assert response == {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]}
    assert json.dumps(response)
