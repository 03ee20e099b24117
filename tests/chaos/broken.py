"""A service with one of its laws broken: ``python -m tests.chaos.broken LAW SERVICE``.

The accounting must find out. Each break is made from outside, so that no switch for it exists in
the services themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from common.sqs import ReceivedMessage
from consumer.lean import leave_out_optional_libraries


def delete_before_store() -> None:
    """A request is deleted when it is received, before anything is done with it."""
    from common.faststream_sqs.subscriber.usecase import SQSSubscriber  # noqa: PLC0415

    work = SQSSubscriber._on_message

    async def delete_then_work(self: SQSSubscriber, raw: ReceivedMessage) -> None:
        settlement = self._wrap.settlement
        if settlement is not None:
            await settlement.delete(raw)
        await work(self, raw)

    _put_in(SQSSubscriber, "_on_message", delete_then_work)


def shared_reply_queue() -> None:
    """Every producer reads the replies of all."""
    from common.sqs import reply_queue  # noqa: PLC0415

    _put_in(reply_queue, "new_reply_queue", lambda prefix: f"{prefix}replies-shared")


def no_lease() -> None:
    """What is being worked on is not kept hidden."""
    from common.sqs.lease import LeaseKeeper  # noqa: PLC0415

    _put_in(LeaseKeeper, "hold", lambda _self, _message: None)


def no_conditional_put() -> None:
    """An object is written whether its key is taken or not."""
    from common.aws_wire import LeanS3  # noqa: PLC0415

    put = LeanS3.put_object

    async def put_anyway(self: LeanS3, **request: Any) -> Any:
        request.pop("IfNoneMatch", None)
        return await put(self, **request)

    _put_in(LeanS3, "put_object", put_anyway)


def _put_in(owner: object, name: str, broken: Callable[..., Any]) -> None:
    """Replace what is there, which has to be there: a break that breaks nothing proves nothing."""
    if not hasattr(owner, name):
        raise AttributeError(f"{owner!r} has no {name!r} any more; break the law elsewhere.")
    setattr(owner, name, broken)


BREAKS: dict[str, Callable[[], None]] = {
    "delete-before-store": delete_before_store,
    "shared-reply-queue": shared_reply_queue,
    "no-lease": no_lease,
    "no-conditional-put": no_conditional_put,
}


def main(law: str, service: str) -> int:
    """Break the law, then run the service as its own command does."""
    if service == "consumer":
        leave_out_optional_libraries()
    BREAKS[law]()
    if service == "producer":
        from producer.__main__ import main as run  # noqa: PLC0415 - each service by itself
    elif service == "consumer":
        from consumer.service import run  # noqa: PLC0415
    else:
        from callbacks.service import run  # noqa: PLC0415
    return run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
