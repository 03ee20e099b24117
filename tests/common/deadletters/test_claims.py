"""A letter and the rows that it claims go back, stay, or go together."""

from __future__ import annotations

from io import BytesIO

import msgspec
import pytest

from common.claims import Claims
from common.deadletters import ALL, StoredResult
from common.deadletters.browse import Browse
from common.deadletters.redrive import Redrive
from common.messages import PredictionRequest
from common.sqs import QueueUrls, Sender
from common.sqs.limits import SMALLEST_MESSAGE_LIMIT_BYTES
from common.topology import requests_queue
from tests.common.deadletters.conftest import MODEL, Cemetery, bodies_of, failure, make_request


async def buried_claim(cemetery: Cemetery) -> PredictionRequest:
    """Bury a request whose rows are in the bucket, its failure told."""
    lighter = await Claims(cemetery.store).lighten(make_request())
    assert isinstance(lighter, PredictionRequest)
    await cemetery.bury(lighter)
    await cemetery.keep(failure(lighter))
    return lighter


async def claims_in(cemetery: Cemetery) -> list[str]:
    return [stat.key async for stat in cemetery.store.walk("claims/")]


async def test_a_letter_goes_back_with_its_claim_and_the_rows_stay_for_it(
    cemetery: Cemetery,
) -> None:
    request = await buried_claim(cemetery)

    report = await cemetery.office.redrive(ALL)

    assert report.outcomes == {StoredResult.REPLACEABLE: 1}
    (message,) = await cemetery.take(cemetery.source_url)
    back = msgspec.json.decode(message.body, type=PredictionRequest)
    assert back == msgspec.structs.replace(request, keep=True, fresh_id=False)
    assert back.claim is not None
    assert (await Claims(cemetery.store).redeem(back.claim)).lines == [2, 3]


@pytest.mark.parametrize("damage", ["gone", "shorter"])
@pytest.mark.parametrize("is_dry", [True, False])
async def test_a_letter_whose_rows_are_gone_stays_with_its_failure(
    cemetery: Cemetery, damage: str, *, is_dry: bool
) -> None:
    request = await buried_claim(cemetery)
    assert request.claim is not None
    if damage == "gone":
        await cemetery.store.delete(request.claim.key)
    else:
        await cemetery.store.put_file(request.claim.key, BytesIO(b"x"), "text/plain")

    report = await cemetery.office.redrive(ALL, is_dry=is_dry)

    assert (report.seen, report.done) == (1, 0)
    assert await cemetery.take(cemetery.source_url) == []
    assert bodies_of(await cemetery.take(cemetery.dead_url)) == [msgspec.json.encode(request)]
    assert await cemetery.kept(request.prediction_id) is not None


async def test_a_purge_removes_the_rows_with_their_letter_and_a_dry_one_neither(
    cemetery: Cemetery,
) -> None:
    request = await buried_claim(cemetery)

    assert (await cemetery.office.purge(ALL, is_dry=True)).done == 1
    assert len(await claims_in(cemetery)) == 1
    assert (await cemetery.office.purge(ALL)).done == 1

    assert await claims_in(cemetery) == []
    assert await cemetery.take(cemetery.dead_url) == []
    assert await cemetery.kept(request.prediction_id) is not None


async def test_a_purge_leaves_rows_whose_prediction_may_be_under_way(cemetery: Cemetery) -> None:
    lighter = await Claims(cemetery.store).lighten(make_request())
    assert isinstance(lighter, PredictionRequest)
    await cemetery.bury(lighter)

    assert (await cemetery.office.purge(ALL)).done == 1

    assert len(await claims_in(cemetery)) == 1


async def test_a_letter_that_outgrew_its_message_goes_back_without_its_rows(
    cemetery: Cemetery,
) -> None:
    """What a redrive adds may be what no longer fits."""
    limit = SMALLEST_MESSAGE_LIMIT_BYTES
    padding = limit - len(msgspec.json.encode(make_request()))
    cells = {"merchant": ["x" * (padding - 60), None], "amount": ["1", "2"]}
    request = make_request(columns=msgspec.Raw(msgspec.json.encode(cells)))
    await cemetery.bury(request)
    redrive = Redrive(
        store=cemetery.store,
        sender=Sender(cemetery.sqs, limit_bytes=limit),
        queues=QueueUrls(cemetery.sqs),
        default_source=requests_queue(cemetery.prefix, MODEL),
        limit_bytes=limit,
    )

    async with Browse(cemetery.receiver, cemetery.sqs, cemetery.dead_url) as browse:
        (letter,) = await browse.next_letters()
        assert await redrive.send_back(letter, browse) is StoredResult.NONE

    (message,) = await cemetery.take(cemetery.source_url)
    back = msgspec.json.decode(message.body, type=PredictionRequest)
    assert back.claim is not None
    assert (await Claims(cemetery.store).redeem(back.claim)).lines == request.lines
