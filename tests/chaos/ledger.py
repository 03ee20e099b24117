"""The account of everything: what was sent, what was promised, what is there; and what is wrong.

Pure: it reads what the clients wrote down and what the engine says, and does nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

import msgspec

from tests.chaos.audit import Audit
from tests.chaos.calm import Calm
from tests.chaos.clients import Account, End
from tests.chaos.receiver import Receiver
from tests.chaos.sendings import Kind, Sending, Way

SHOWN_IDS = 5
NOT_BURIED = frozenset({"expired", "cancelled", "unknown-version", "prediction-id-reused"})
POISON = frozenset({Kind.UNUSABLE, Kind.CRASHING})
CODES = {
    Kind.UNUSABLE: {"worker-failed"},
    # The last death may happen before or after its attempt is counted as one too many.
    Kind.CRASHING: {"attempts-exhausted", "worker-failed"},
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is known at the end of a run.

    ``finals`` are the bodies that a last GET of every accepted prediction gave; ``strays`` the
    stored results that no client was told of.
    """

    accounts: Sequence[Account]
    finals: Mapping[str, bytes]
    strays: Mapping[str, Mapping[str, Any]]
    audit: Audit
    receiver: Receiver
    calm: Calm
    garbage: Sequence[str]
    empty_requests: Sequence[str]
    labels: Callable[[Sending], list[str]]
    producer_starts: int


@dataclass(slots=True)
class Ledger:
    """Lines to print, and the ids of what does not close, by what is wrong with them."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    wrong: list[tuple[str, list[str]]] = field(default_factory=list)

    @property
    def closes(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong

    def note(self, what: str, value: object) -> None:
        """Add a line."""
        self.lines.append((what, str(value)))

    def must_be_none(self, what: str, found: Iterable[str]) -> None:
        """Add a line that has to be 0, and whatever makes it more."""
        ids = list(found)
        self.lines.append((what, f"{len(ids)}" if not ids else f"{len(ids)}  <-- must be 0"))
        if ids:
            self.wrong.append((what, ids))

    def must_equal(self, what: str, found: int, expected: int) -> None:
        """Add a line with two numbers that have to be the same."""
        same = found == expected
        self.lines.append((what, f"{found}" if same else f"{found}  <-- must be {expected}"))
        if not same:
            self.wrong.append((what, [f"{found} instead of {expected}"]))

    def must_reach(self, what: str, found: int, least: int) -> None:
        """Add a line with a number that has to be large enough."""
        enough = found >= least
        self.lines.append((what, f"{found}" if enough else f"{found}  <-- at least {least}"))
        if not enough:
            self.wrong.append((what, [f"{found} instead of {least} or more"]))

    def text(self) -> str:
        """The whole ledger, and below it what is wrong."""
        width = max(len(what) for what, _ in self.lines)
        shown = [f"  {what:<{width}}  {value}" for what, value in self.lines]
        for what, ids in self.wrong:
            more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
            shown.append(f"WRONG: {what}: {', '.join(ids[:SHOWN_IDS])}{more}")
        return "\n".join(shown)


def account_for(evidence: Evidence) -> Ledger:
    """Write the ledger."""
    ledger = Ledger()
    _clients(ledger, evidence)
    _answers(ledger, evidence)
    _store(ledger, evidence)
    _dead_letters(ledger, evidence)
    _callbacks(ledger, evidence)
    _queues(ledger, evidence)
    _calm(ledger, evidence.calm)
    return ledger


def _clients(ledger: Ledger, evidence: Evidence) -> None:
    accounts = evidence.accounts
    ends = Counter(account.end for account in accounts)
    codes = Counter(account.code for account in accounts if account.end is End.FAILED)
    refused: Counter[str] = Counter()
    for account in accounts:
        refused.update(account.refused)
    ledger.note("files sent", len(accounts))
    for way in Way:
        ledger.note(f"  {way}", sum(account.sending.way is way for account in accounts))
    ledger.note(
        "connections that ended without an answer, tried again", sum(a.dropped for a in accounts)
    )
    ledger.note("refused and sent again", f"{refused.total()} {dict(refused)}")
    ledger.note(
        "expired in the queue, sent again under a new id", sum(len(a.expired) for a in accounts)
    )
    ledger.note("accepted", sum(account.is_accepted for account in accounts))
    ledger.note("  answered 200", ends[End.AT_ONCE])
    ledger.note("  answered later", ends[End.LATER])
    ledger.note("  failed and dead-lettered", f"{ends[End.FAILED]} {dict(codes)}")
    never = [account for account in accounts if account.end is End.NEVER]
    ledger.must_be_none("  accepted and never answered", (_name(a) for a in never if a.is_accepted))
    ledger.must_be_none("never accepted", (_name(a) for a in never if not a.is_accepted))


def _answers(ledger: Ledger, evidence: Evidence) -> None:
    accounts = evidence.accounts
    ledger.must_be_none(
        "good files that failed",
        (f"{_name(a)} ({a.code})" for a in accounts if _is_good(a) and a.end is End.FAILED),
    )
    ledger.must_be_none(
        "poison that did not fail as it should",
        (
            f"{_name(a)} ({a.end}, {a.code})"
            for a in accounts
            if not _is_good(a) and a.end is not End.NEVER and a.code not in CODES[a.sending.kind]
        ),
    )
    ledger.must_be_none(
        "wrong content",
        (
            _name(a)
            for a in accounts
            if a.end in (End.AT_ONCE, End.LATER) and not _is_right(a, evidence.labels)
        ),
    )
    ledger.must_be_none(
        "one file, several predictions", (_name(a) for a in accounts if len(a.ids) > 1)
    )
    ledger.must_be_none(
        "two different answers for one id",
        (
            _name(a)
            for a in accounts
            if a.end is not End.NEVER and evidence.finals.get(a.prediction_id) != a.body
        ),
    )
    ledger.must_be_none(
        "accepted, then 404 (told unknown)", (_name(a) for a in accounts if a.forgotten)
    )


def _store(ledger: Ledger, evidence: Evidence) -> None:
    results = evidence.audit.results
    told = {prediction for account in evidence.accounts for prediction in account.ids}
    expired = {prediction for account in evidence.accounts for prediction in account.expired}
    known = told | expired | set(evidence.empty_requests)
    anonymous = {
        tuple(account.sending.bad_lines)
        for account in evidence.accounts
        if account.sending.way in (Way.ANONYMOUS, Way.KEY) or account.expired
    }
    strays = evidence.strays
    ledger.note("results stored, one an id", len(results))
    ledger.must_be_none(
        "results written more than once", (key for key, times in results.items() if times > 1)
    )
    ledger.must_be_none("accepted without a stored result", sorted(told - results.keys()))
    ledger.must_be_none(
        "promised without a stored result",
        sorted(evidence.audit.promises - results.keys() - expired),
    )
    ledger.note(
        "results of requests whose answer was lost on the way, sent again as new ones", len(strays)
    )
    ledger.must_be_none(
        "results of nobody's file",
        (key for key, found in strays.items() if key not in known and not _is_of(found, anonymous)),
    )
    ledger.must_be_none("objects that are nobody's", evidence.audit.others)
    ledger.must_be_none("objects deleted", evidence.audit.deleted)


def _dead_letters(ledger: Ledger, evidence: Evidence) -> None:
    letters = evidence.audit.letters
    failed = {a.prediction_id for a in evidence.accounts if a.end is End.FAILED}
    failed |= {
        identity
        for identity, found in evidence.strays.items()
        if found.get("outcome") == "failed" and found.get("code") not in NOT_BURIED
    }
    failed |= set(evidence.empty_requests)
    codes = Counter(found[0].code for found in letters.values())
    unreadable = evidence.audit.unreadable
    copies = sum(len(found) - 1 for found in letters.values()) + sum(
        times - 1 for times in unreadable.values()
    )
    ledger.note("dead letters of predictions, by id", f"{len(letters)} {dict(codes)}")
    ledger.note("dead letters that nobody can read", len(unreadable))
    ledger.note("dead letters that are copies (a duplicate, or a kill while burying)", copies)
    ledger.must_be_none("failed and not in the dead-letter queue", sorted(failed - letters.keys()))
    ledger.must_be_none("in the dead-letter queue and not failed", sorted(letters.keys() - failed))
    garbage = set(evidence.garbage)
    ledger.must_be_none("unreadable messages lost", sorted(garbage - unreadable.keys()))
    ledger.must_be_none("unreadable messages from nowhere", sorted(unreadable.keys() - garbage))


def _callbacks(ledger: Ledger, evidence: Evidence) -> None:
    receiver = evidence.receiver
    asked = {
        account.prediction_id
        for account in evidence.accounts
        if account.sending.way is Way.CALLBACK and account.is_accepted
    }
    ledger.note(
        "callbacks received", f"{receiver.calls} calls about {len(receiver.told)} predictions"
    )
    ledger.must_be_none("callbacks that never came", sorted(asked - receiver.told.keys()))
    unasked = receiver.told.keys() - asked - {a for e in evidence.accounts for a in e.expired}
    ledger.must_be_none("callbacks nobody asked for", sorted(unasked))
    ledger.must_be_none(
        "callbacks under several ids", (key for key, ids in receiver.told.items() if len(ids) > 1)
    )
    ledger.must_be_none("callbacks that changed between two calls", receiver.changed)
    ledger.must_be_none("callbacks not signed", ["?"] * receiver.forged)
    ledger.must_be_none(
        "callbacks that tell another answer", sorted(_told_otherwise(evidence, asked))
    )


def _queues(ledger: Ledger, evidence: Evidence) -> None:
    for name, depth in evidence.audit.depths.items():
        ledger.must_equal(f"messages left in {name}", depth, 0)
    found = evidence.audit.reply_queues
    ledger.note("reply queues (those of killed producers go when their lease is over)", found)
    if found > evidence.producer_starts:
        ledger.must_equal("reply queues", found, evidence.producer_starts)


def _calm(ledger: Ledger, calm: Calm) -> None:
    ledger.note("in the calm: calls that waited", calm.calls)
    # A reply that a busy machine delays is overtaken by the look into the store, now and then. Of
    # two producers on one queue, each misses half of its own.
    ledger.must_reach("  answered by their own reply", calm.by_reply, ceil(0.9 * calm.calls))
    ledger.note("in the calm: slow files", calm.slow)
    ledger.must_equal("  deliveries of them", calm.slow_deliveries, calm.slow)


def _told_otherwise(evidence: Evidence, asked: set[str]) -> Iterator[str]:
    bodies = {account.prediction_id: account.body for account in evidence.accounts}
    failed = {a.prediction_id for a in evidence.accounts if a.end is End.FAILED}
    for identity in asked & evidence.receiver.told.keys():
        for told in evidence.receiver.told[identity].values():
            body = msgspec.json.decode(told.data)
            is_failure = body["type"] == "prediction.failed"
            if is_failure != (identity in failed) or (
                not is_failure and body["data"] != msgspec.json.decode(bodies[identity])
            ):
                yield identity


def _is_good(account: Account) -> bool:
    return account.sending.kind not in POISON


def _is_right(account: Account, labels: Callable[[Sending], list[str]]) -> bool:
    sending = account.sending
    answer = msgspec.json.decode(account.body)
    return bool(
        answer["id"] == account.prediction_id
        and [row["line"] for row in answer["rows"]] == sending.good_lines
        and [found["line"] for found in answer["violations"]] == sending.bad_lines
        and (
            sending.kind is not Kind.GOOD
            or [row["label"] for row in answer["rows"]] == labels(sending)
        )
    )


def _is_of(result: Mapping[str, Any], files: set[tuple[int, ...]]) -> bool:
    """Whether a result is of a file that was sent without an id: by its bad lines."""
    if result.get("outcome") == "failed":
        return True  # it says nothing of its file; that it is buried is looked at elsewhere
    return tuple(found["line"] for found in result.get("violations", ())) in files


def _name(account: Account) -> str:
    return f"file {account.sending.number} ({account.prediction_id or account.sending.name})"
