from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from common.sqs import LeaseKeeper, ReceivedMessage, Settler
from tests.common.sqs.conftest import ScriptedSqs

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

Eventually = Callable[[Callable[[], bool]], Awaitable[None]]


def _message(*, age_seconds: float = 0.0, receipt_handle: str = "r") -> ReceivedMessage:
    return ReceivedMessage(
        body=b"",
        headers={},
        message_id="m",
        receipt_handle=receipt_handle,
        receive_count=1,
        sent_ms=0,
        first_received_ms=0,
        queue_url="http://127.0.0.1/000000000000/queue",
        received_at=time.monotonic() - age_seconds,
    )


def _changes(scripted: ScriptedSqs) -> list[int]:
    return [
        entry["VisibilityTimeout"]
        for operation, content in scripted.calls
        if operation == "ChangeMessageVisibilityBatch"
        for entry in content["Entries"]
    ]


async def test_the_lease_counts_from_the_receipt_not_from_when_work_began(
    scripted: ScriptedSqs, scripted_client: SQSClient, eventually: Eventually
) -> None:
    lease = LeaseKeeper(Settler(scripted_client), visibility_seconds=3600)
    young, old = _message(receipt_handle="young"), _message(age_seconds=1800, receipt_handle="old")
    lease.hold(young)
    lease.hold(old)
    await eventually(lambda: bool(scripted.calls))
    [(_, content)] = scripted.calls
    assert [entry["ReceiptHandle"] for entry in content["Entries"]] == ["old"]
    await lease.close()


async def test_extends_at_a_constant_pace_by_a_constant_amount(
    scripted: ScriptedSqs, scripted_client: SQSClient, eventually: Eventually
) -> None:
    lease = LeaseKeeper(Settler(scripted_client), visibility_seconds=1)
    lease.hold(_message())
    await eventually(lambda: len(_changes(scripted)) == 3)
    await lease.close()
    assert _changes(scripted) == [1, 1, 1]


async def test_leases_due_together_are_extended_in_one_call(
    scripted: ScriptedSqs, scripted_client: SQSClient, eventually: Eventually
) -> None:
    lease = LeaseKeeper(Settler(scripted_client), visibility_seconds=60)
    for number in range(10):
        lease.hold(_message(age_seconds=30, receipt_handle=f"{number}"))
    await eventually(lambda: len(_changes(scripted)) == 10)
    await lease.close()
    assert len(scripted.calls) <= 2


async def test_no_extension_follows_a_release_even_when_one_is_being_tried_again(
    scripted: ScriptedSqs, scripted_client: SQSClient, eventually: Eventually
) -> None:
    async def fail_at_first(_: str, content: dict[str, Any]) -> web.Response:
        if len(scripted.calls) == 1:
            failed = {"Id": "0", "SenderFault": False, "Code": "InternalError"}
            return scripted.entries(failed=[failed])
        return scripted.entries(done=[entry["Id"] for entry in content["Entries"]])

    scripted.answer = fail_at_first
    settler = Settler(scripted_client)
    lease = LeaseKeeper(settler, visibility_seconds=60)
    message = _message(age_seconds=30)
    lease.hold(message)
    await eventually(lambda: len(scripted.calls) == 1)
    await settler.release(message, delay_seconds=7)
    await settler.drain()
    assert _changes(scripted) == [60, 60, 7]
    assert not lease._leases


@pytest.mark.parametrize("settle", ["delete", "release"])
async def test_settling_a_message_ends_its_lease(scripted_client: SQSClient, settle: str) -> None:
    settler = Settler(scripted_client)
    lease = LeaseKeeper(settler, visibility_seconds=60)
    message = _message()
    lease.hold(message)
    if settle == "delete":
        await settler.delete(message)
    else:
        await settler.release(message, delay_seconds=1)
    assert not lease._leases


async def test_stops_at_the_longest_hold(
    scripted: ScriptedSqs, scripted_client: SQSClient, eventually: Eventually
) -> None:
    def capped() -> float:
        return REGISTRY.get_sample_value("carimbo_sqs_leases_capped_total") or 0.0

    before = capped()
    lease = LeaseKeeper(Settler(scripted_client), visibility_seconds=60, longest_hold_seconds=100)
    lease.hold(_message(age_seconds=90, receipt_handle="near the end"))
    lease.hold(_message(age_seconds=100, receipt_handle="at the end"))
    await eventually(lambda: bool(_changes(scripted)) and capped() == before + 1)
    assert 8 <= _changes(scripted)[0] <= 10
    await lease.close()


async def test_a_lease_whose_message_is_gone_ends_without_an_error(
    scripted: ScriptedSqs, scripted_client: SQSClient, eventually: Eventually
) -> None:
    async def refuse(_: str, content: dict[str, Any]) -> web.Response:
        assert content
        failed = {"Id": "0", "SenderFault": True, "Code": "ReceiptHandleIsInvalid"}
        return scripted.entries(failed=[failed])

    scripted.answer = refuse
    lease = LeaseKeeper(Settler(scripted_client), visibility_seconds=60)
    lease.hold(_message(age_seconds=30))
    await eventually(lambda: not lease._leases)
    assert len(scripted.calls) == 1


async def test_a_failing_service_does_not_end_a_lease(
    scripted: ScriptedSqs, scripted_client: SQSClient, eventually: Eventually
) -> None:
    async def fail_at_first(_: str, content: dict[str, Any]) -> web.Response:
        assert content
        if len(scripted.calls) <= 3:
            return scripted.json({"__type": "InternalError"}, status=500)
        return scripted.entries(done=["0"])

    scripted.answer = fail_at_first
    lease = LeaseKeeper(Settler(scripted_client), visibility_seconds=2)
    lease.hold(_message(age_seconds=1))
    await eventually(lambda: len(scripted.calls) > 3)
    assert lease._leases
    await lease.close()
