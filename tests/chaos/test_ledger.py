"""The ledger closes over what is right, and names what is not: each kind of harm in turn."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from common.deadletters.letter import DeadLetter
from common.messages import PredictionId
from common.sqs import ReceivedMessage
from tests.chaos.audit import Audit
from tests.chaos.calm import Calm
from tests.chaos.clients import Account, End
from tests.chaos.ledger import Evidence, account_for
from tests.chaos.receiver import Receiver, Told
from tests.chaos.sendings import Kind, Sending, Way, plan

GARBAGE = "no JSON"


def sending(number: int, way: Way, kind: Kind = Kind.GOOD) -> Sending:
    return Sending(number=number, kind=kind, way=way, name=f"id-{number}", at=0.0, bits=4)


def labels(of: Sending) -> list[str]:
    return [f"label of {of.number}"] * len(of.good_lines)


def body(of: Sending, identity: str) -> bytes:
    return msgspec.json.encode(
        {
            "id": identity,
            "rows": [
                {"line": line, "label": label}
                for line, label in zip(of.good_lines, labels(of), strict=True)
            ],
            "violations": [{"line": line} for line in of.bad_lines],
        }
    )


def account(of: Sending, end: End = End.AT_ONCE, code: str = "") -> Account:
    answer = b"{}" if code else body(of, of.name)
    return Account(of, end=end, code=code, body=answer, ids=[of.name])


def letter(identity: str) -> DeadLetter:
    message = ReceivedMessage(
        body=b"",
        headers={},
        message_id="m",
        receipt_handle="r",
        receive_count=1,
        sent_ms=0,
        first_received_ms=0,
        queue_url="",
        received_at=0.0,
    )
    return DeadLetter(
        message=message,
        prediction_id=PredictionId(identity),
        fingerprint="",
        code="internal",
        reason="",
        source=None,
        attempts=1,
        trace_id="",
        redrives=0,
    )


@pytest.fixture
def evidence() -> Evidence:
    """A run of three files, one of them poison, that closes."""
    at_once = account(sending(5, Way.OWN_ID))
    called = account(sending(6, Way.CALLBACK), End.LATER)
    poison = account(sending(7, Way.LATER, Kind.UNUSABLE), End.FAILED, "worker-failed")
    accounts = [at_once, called, poison]
    audit = Audit(
        results={one.prediction_id: 1 for one in accounts},
        promises={called.prediction_id, poison.prediction_id},
        letters={poison.prediction_id: [letter(poison.prediction_id)]},
        depths={"requests": 0},
        reply_queues=2,
    )
    audit.unreadable[GARBAGE] = 1
    receiver = Receiver("whsec_", random.Random(1))  # noqa: S311 - a test's
    told = {"type": "prediction.completed", "data": msgspec.json.decode(called.body)}
    receiver.told = {called.prediction_id: {"hook": Told(msgspec.json.encode(told))}}
    return Evidence(
        accounts=accounts,
        finals={one.prediction_id: one.body for one in accounts},
        strays={},
        audit=audit,
        receiver=receiver,
        calm=Calm(calls=4, by_reply=4, slow=2, slow_deliveries=2),
        garbage=[GARBAGE],
        empty_requests=[],
        labels=labels,
        producer_starts=2,
    )


def wrong(evidence: Evidence) -> list[str]:
    return [what.strip() for what, _ in account_for(evidence).wrong]


def test_a_run_in_which_everything_is_answered_once_closes(evidence: Evidence) -> None:
    assert wrong(evidence) == []


Harm = Callable[[Evidence], Evidence | None]


def _change(**parts: Any) -> Harm:
    return lambda evidence: replace(evidence, **parts)


def _lost(evidence: Evidence) -> None:
    evidence.accounts[0].end = End.NEVER


def _never_taken(evidence: Evidence) -> None:
    evidence.accounts[0].end = End.NEVER
    evidence.accounts[0].ids.clear()


def _failed(evidence: Evidence) -> None:
    found = evidence.accounts[0]
    found.end, found.code = End.FAILED, "internal"
    evidence.audit.letters[found.prediction_id] = [letter(found.prediction_id)]


def _anothers_answer(evidence: Evidence) -> Evidence:
    found = evidence.accounts[0]
    found.body = body(sending(9, Way.OWN_ID), found.prediction_id)
    return replace(evidence, finals={**evidence.finals, found.prediction_id: found.body})


@pytest.mark.parametrize(
    ("harm", "line"),
    [
        (_lost, "accepted and never answered"),
        (_never_taken, "never accepted"),
        (_failed, "good files that failed"),
        (_anothers_answer, "wrong content"),
        (lambda e: e.accounts[0].name("another"), "one file, several predictions"),
        (lambda e: e.finals.update({"id-5": b"other"}), "two different answers for one id"),
        (lambda e: setattr(e.accounts[1], "forgotten", 1), "accepted, then 404 (told unknown)"),
        (lambda e: e.audit.results.update({"id-5": 2}), "results written more than once"),
        (lambda e: e.audit.results.pop("id-5"), "accepted without a stored result"),
        (lambda e: e.audit.promises.add("id-8"), "promised without a stored result"),
        (_change(strays={"x": {"violations": [{"line": 3}]}}), "results of nobody's file"),
        (lambda e: e.audit.others.append("claims/1"), "objects that are nobody's"),
        (lambda e: e.audit.deleted.append("results/1"), "objects deleted"),
        (lambda e: e.audit.letters.clear(), "failed and not in the dead-letter queue"),
        (
            lambda e: e.audit.letters.update({"id-5": [letter("id-5")]}),
            "in the dead-letter queue and not failed",
        ),
        (lambda e: e.audit.unreadable.clear(), "unreadable messages lost"),
        (lambda e: e.receiver.told.clear(), "callbacks that never came"),
        (lambda e: e.receiver.changed.append("id-6"), "callbacks that changed between two calls"),
        (lambda e: e.audit.depths.update(requests=1), "messages left in requests"),
        (
            _change(calm=Calm(calls=4, by_reply=3, slow=2, slow_deliveries=2)),
            "answered by their own reply",
        ),
        (
            _change(calm=Calm(calls=4, by_reply=4, slow=2, slow_deliveries=5)),
            "deliveries of them",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_harm_keeps_the_account_from_closing(
    evidence: Evidence, harm: Harm, line: str
) -> None:
    found = harm(evidence)

    assert line in wrong(found if isinstance(found, Evidence) else evidence)


def test_a_seed_gives_the_same_files_and_another_gives_others() -> None:
    assert plan(1, 500, 10.0) == plan(1, 500, 10.0)
    assert plan(1, 500, 10.0) != plan(2, 500, 10.0)


def test_one_file_in_a_hundred_is_poison() -> None:
    kinds = [sending.kind for sending in plan(3, 5000, 10.0)]

    assert kinds.count(Kind.CRASHING) + kinds.count(Kind.UNUSABLE) == 50
    assert kinds.count(Kind.CRASHING) == 3
