"""A queue that a function of the same service fills."""

import json

from pydantic import BaseModel

from shared.messaging.queue import QueueConsumer


class Number(BaseModel):
    """A message."""

    number: int


def test_one_that_fails_comes_again_and_the_others_are_done() -> None:
    handled: list[int] = []

    def handle(message: Number) -> None:
        if message.number == 2:
            raise ArithmeticError
        handled.append(message.number)

    bodies = ['{"number": 1}', '{"number": 2}', "nonsense", '{"number": 3, "colour": "blue"}']
    records = [{"messageId": f"m-{index}", "body": body} for index, body in enumerate(bodies)]
    answer = QueueConsumer("things.inbox", Number, handle)({"Records": records})
    assert handled == [1, 3]
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]}
    assert json.dumps(answer)
