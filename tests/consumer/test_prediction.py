from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from common.messages import PredictionRequest
from common.registry import ModelFiles, ModelVersion
from consumer.prediction import CHUNK_ROWS, Predictor
from consumer.served_model import ServedModel, build
from tests.consumer.tiny_models import TinyModel, request_of, train


@pytest.fixture
def predictor() -> Iterator[Predictor]:
    predictor = Predictor(2)
    yield predictor
    predictor.close()


def served(model: TinyModel) -> ServedModel:
    family = model.contract.family
    files = ModelFiles(
        version=ModelVersion(model=family, version="1", model_id="m-1"),
        model=model.model,
        encoders=model.encoders,
        contract=model.contract.source_text.encode(),
    )
    return build(family, "1", files)


def large(model: TinyModel, rows: int = 5 * CHUNK_ROWS + 7) -> PredictionRequest:
    return request_of(model, str(uuid4()), rows=rows)


async def test_a_large_file_gets_the_labels_it_would_get_in_one_piece(
    predictor: Predictor,
) -> None:
    model = train("parcels", generation=1)
    ready = served(model)
    request = large(model)

    found = await predictor.predict(ready, request)

    assert found.scores == ready.scores(ready.matrix(ready.decode(request)))
    assert len(found.scores.labels) == len(request.lines)


async def test_the_event_loop_stays_free_while_a_file_is_predicted(predictor: Predictor) -> None:
    """A file in one piece and a file in chunks, both of trees that take their time."""
    model = train("parcels", generation=1, rounds=800)
    ready = served(model)
    for request in (large(model, CHUNK_ROWS), large(model)):
        started = time.perf_counter()
        async with longest_pause() as pauses:
            prediction = await predictor.predict(ready, request)
        took = time.perf_counter() - started

        assert prediction.stages["predict"] / 1000 > took / 2, "the trees are to be the work"
        assert max(pauses) < took / 3


async def test_a_small_file_overtakes_a_large_one(predictor: Predictor) -> None:
    model = train("parcels", generation=1, rounds=800)
    ready = served(model)
    slow = asyncio.create_task(predictor.predict(ready, large(model)))
    await asyncio.sleep(0.05)

    await predictor.predict(ready, request_of(model, str(uuid4()), rows=3))

    assert not slow.done()
    await slow


@asynccontextmanager
async def longest_pause() -> AsyncIterator[list[float]]:
    """How long the loop let a task wait that asked for its turn again at once, in seconds."""
    pauses = [0.0]

    async def measure() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.001)
            pauses.append(time.perf_counter() - before)

    measuring = asyncio.create_task(measure())
    await asyncio.sleep(0)
    try:
        yield pauses
    finally:
        await asyncio.sleep(0.002)
        measuring.cancel()
