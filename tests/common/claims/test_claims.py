from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from io import BytesIO
from uuid import uuid4

import msgspec
import pytest

from common.aws import aws_client
from common.claims import Claims, TablePart, sweep_claims, write_part
from common.claims.table import PART_ROWS, part_of, read_table_parts
from common.errors import PermanentError
from common.messages import (
    Claim,
    Completed,
    Failed,
    FailureCode,
    PredictionId,
    PredictionReply,
    PredictionRequest,
    Violation,
)
from common.objects import PART_BYTES, ObjectStore, Unread
from common.topology import claim_key, claimant, result_key

NO_GRACE = timedelta(seconds=-5)
"""The store stamps whole seconds, so that what was just written may look younger than nothing."""
JSON = "application/json"


@pytest.fixture
async def store(aws_environment: dict[str, str], queue_prefix: str) -> AsyncIterator[ObjectStore]:
    assert aws_environment
    async with aws_client("s3", connections=4) as client:
        found = ObjectStore(client, f"{queue_prefix}claims")
        await found.ensure_bucket()
        yield found


def request(rows: int = 3) -> PredictionRequest:
    return PredictionRequest(
        prediction_id=PredictionId(str(uuid4())),
        model="parcels",
        lines=list(range(2, rows + 2)),
        columns=msgspec.Raw(msgspec.json.encode({"weight": ["1.50"] * rows})),
        fingerprint="f",
        contract="c",
        rows_read=rows,
        alias="champion",
        violations=[Violation(code="not-a-decimal", line=9, column="weight", message="m")],
    )


async def checked_in(store: ObjectStore, asked: PredictionRequest) -> PredictionRequest:
    lighter = await Claims(store).lighten(asked)
    assert isinstance(lighter, PredictionRequest)
    return lighter


async def settle(store: ObjectStore, result: PredictionReply) -> None:
    await store.put_once(result_key(result.prediction_id), msgspec.json.encode(result), JSON)


def completed(asked: PredictionRequest) -> Completed:
    return Completed(
        prediction_id=asked.prediction_id,
        model=asked.model,
        version="1",
        fingerprint=asked.fingerprint,
        rows_read=asked.rows_read,
        lines=asked.lines,
        labels=["a"] * len(asked.lines),
        confidences=[0.5] * len(asked.lines),
    )


def failed(asked: PredictionRequest, code: str) -> Failed:
    return Failed(prediction_id=asked.prediction_id, model=asked.model, code=code, message="m")


async def claims_of(store: ObjectStore) -> list[str]:
    return [stat.key async for stat in store.walk("claims/")]


async def test_a_request_without_its_rows_says_where_they_are(store: ObjectStore) -> None:
    asked = request()
    lighter = await checked_in(store, asked)
    assert lighter.claim is not None
    assert (lighter.lines, bytes(lighter.columns), lighter.violations) == ([], b"{}", [])
    table = await Claims(store).redeem(lighter.claim)
    assert table.lines == asked.lines
    assert [bytes(part) for part in table.columns] == [bytes(asked.columns)]
    assert table.violations == asked.violations
    whole = msgspec.structs.replace(
        lighter, lines=asked.lines, columns=asked.columns, violations=asked.violations, claim=None
    )
    assert msgspec.json.encode(whole) == msgspec.json.encode(asked)


async def test_the_same_rows_are_stored_once_however_often_they_are_sent(
    store: ObjectStore,
) -> None:
    asked = request()
    first = await checked_in(store, asked)
    assert await checked_in(store, asked) == first
    assert len(await claims_of(store)) == 1


async def test_what_has_no_rows_to_put_away_cannot_be_made_lighter(store: ObjectStore) -> None:
    assert await Claims(store).lighten(b"bytes") is None
    assert await Claims(store).lighten(await checked_in(store, request())) is None


@pytest.mark.parametrize("size", [PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES + 7])
async def test_an_object_of_any_number_of_parts_is_stored_whole(
    store: ObjectStore, size: int
) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    await store.put_file("claims/x", BytesIO(content[:size]), JSON)
    back = BytesIO()
    assert await store.get_into("claims/x", back)
    assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(content[:size]).digest()


async def test_a_claim_that_is_gone_is_a_permanent_error_with_its_reason(
    store: ObjectStore,
) -> None:
    claim = (await checked_in(store, request())).claim
    assert claim is not None
    await Claims(store).forget(claim)
    for use in (Claims(store).redeem, Claims(store).check):
        with pytest.raises(PermanentError, match="is gone from the bucket") as caught:
            await use(claim)
        assert caught.value.code == FailureCode.CLAIM_LOST


async def test_a_claim_whose_object_was_changed_is_refused(store: ObjectStore) -> None:
    claim = (await checked_in(store, request())).claim
    assert claim is not None
    await store.put_file(claim.key, BytesIO(b"x" * claim.size), JSON)
    with pytest.raises(PermanentError, match="does not have the digest"):
        await Claims(store).redeem(claim)


async def test_a_claim_in_a_form_nobody_knows_is_refused(store: ObjectStore) -> None:
    content = b'{"rows":1}\n'
    digest = hashlib.sha256(content).hexdigest()
    await store.put_file("claims/a/b", BytesIO(content), JSON)
    with pytest.raises(PermanentError, match="not in a form"):
        await Claims(store).redeem(Claim(key="claims/a/b", sha256=digest, size=len(content)))


def test_a_table_in_many_parts_is_the_table() -> None:
    lines = list(range(PART_ROWS * 2 + 1))
    columns = {"weight": [str(line) for line in lines]}
    content = b"".join(
        write_part(part_of(lines, columns, first, [])) for first in range(0, len(lines), PART_ROWS)
    )
    table = read_table_parts(content)
    assert len(table.columns) == 3
    assert table.lines == lines
    found = [cell for part in table.columns for cell in msgspec.json.decode(part)["weight"]]
    assert found == columns["weight"]


def test_a_line_break_in_a_cell_does_not_end_a_part() -> None:
    cells = msgspec.Raw(msgspec.json.encode({"note": ["a\nb\u2028c"]}))
    assert read_table_parts(write_part(TablePart(lines=[2], columns=cells))).lines == [2]


def test_a_claims_key_names_its_prediction() -> None:
    identity = PredictionId(str(uuid4()))
    assert claimant(claim_key(identity, "a" * 64)) == identity


@pytest.mark.parametrize(
    "code", [FailureCode.EXPIRED, FailureCode.CANCELLED, FailureCode.UNKNOWN_VERSION]
)
async def test_rows_go_once_their_prediction_is_answered(store: ObjectStore, code: str) -> None:
    done, refused = request(), request()
    await checked_in(store, done)
    await checked_in(store, refused)
    await settle(store, completed(done))
    await settle(store, failed(refused, code))
    assert await sweep_claims(store, NO_GRACE) == 2
    assert await claims_of(store) == []


async def test_rows_of_a_prediction_without_a_result_stay(store: ObjectStore) -> None:
    await checked_in(store, request())
    assert await sweep_claims(store, NO_GRACE) == 0
    assert len(await claims_of(store)) == 1


async def test_rows_stay_for_the_grace_after_the_result(store: ObjectStore) -> None:
    done = request()
    await checked_in(store, done)
    await settle(store, completed(done))
    assert await sweep_claims(store, timedelta(hours=1)) == 0
    assert len(await claims_of(store)) == 1


@pytest.mark.parametrize("code", [FailureCode.INTERNAL, FailureCode.ATTEMPTS_EXHAUSTED])
async def test_rows_of_what_was_buried_stay_for_its_redrive(store: ObjectStore, code: str) -> None:
    buried = request()
    await checked_in(store, buried)
    await settle(store, failed(buried, code))
    assert await sweep_claims(store, NO_GRACE) == 0
    assert len(await claims_of(store)) == 1


async def test_a_large_result_is_not_read_to_know_that_it_has_labels(store: ObjectStore) -> None:
    done = request(rows=5_000)
    await checked_in(store, done)
    await settle(store, completed(done))
    assert await sweep_claims(store, NO_GRACE) == 1


async def test_an_object_above_the_bound_is_told_by_its_size_and_notes(store: ObjectStore) -> None:
    await store.put_once("results/a", b"x" * 10, JSON, {"fingerprint": "f" * 64})
    assert await store.get_up_to("results/a", 10) == b"x" * 10
    assert await store.get_up_to("results/a", 9) == Unread(10, {"fingerprint": "f" * 64})
    assert await store.get_up_to("results/none", 9) is None


async def test_sweepers_at_once_remove_all_that_ended_and_nothing_that_lives(
    store: ObjectStore,
) -> None:
    ended, live = [request() for _ in range(12)], [request() for _ in range(4)]
    for asked in (*ended, *live):
        await checked_in(store, asked)
    for asked in ended:
        await settle(store, completed(asked))

    swept = await asyncio.gather(*(sweep_claims(store, NO_GRACE) for _ in range(3)))

    assert sum(swept) >= len(ended)
    assert {claimant(key) for key in await claims_of(store)} == {
        asked.prediction_id for asked in live
    }


async def test_a_claim_written_again_waits_for_the_grace_again(store: ObjectStore) -> None:
    asked = request()
    await checked_in(store, asked)
    await settle(store, completed(asked))
    await asyncio.sleep(2)  # the store stamps whole seconds
    await checked_in(store, asked)
    assert await sweep_claims(store, timedelta(seconds=1.5)) == 0


async def test_a_result_of_an_unknown_release_keeps_its_rows_and_stops_no_sweep(
    store: ObjectStore,
) -> None:
    strange, done = request(), request()
    for asked in (strange, done):
        await checked_in(store, asked)
    body = b'{"outcome":"of-a-later-release"}'
    await store.put_once(result_key(strange.prediction_id), body, JSON)
    await settle(store, completed(done))

    assert await sweep_claims(store, NO_GRACE) == 1

    assert [claimant(key) for key in await claims_of(store)] == [strange.prediction_id]
