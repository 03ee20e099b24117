"""What the services need goes away and comes back: nobody restarts anything, nothing is lost."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from uuid import uuid4

import httpx
import pytest

from client.local.children import Child
from client.local.services import Service
from tests.system.cables import Cable, cables
from tests.system.conftest import RunningSystem
from tests.system.files import account_file, good_lines
from tests.system.replicas import MODEL, a_consumer, a_producer, own_names, running

pytestmark = [pytest.mark.system, pytest.mark.timeout(300)]

PATIENCE_SECONDS = 90.0
CALLS_WHILE_AWAY = 4
TOLD_TO_RETURN = (429, 503)
PATH = f"/v1/models/{MODEL}/predictions"


@dataclass(frozen=True, slots=True)
class Wired:
    """A producer and a worker whose every neighbour is at the end of a cable."""

    sqs: Cable
    s3: Cable
    registry: Cable
    producer: Service
    consumer: Service
    children: list[Child]


@pytest.fixture
def wired(running_system: RunningSystem) -> Iterator[Wired]:
    surroundings = running_system.system.surroundings
    with cables(surroundings.engine, surroundings.engine, surroundings.mlflow) as lines:
        sqs, s3, registry = lines
        settings = {
            **own_names(),
            "AWS_ENDPOINT_URL_SQS": sqs.url,
            "AWS_ENDPOINT_URL_S3": s3.url,
            "MLFLOW_TRACKING_URI": registry.url,
            "CARIMBO_REGISTRY_REFRESH": "1",
        }
        producer, consumer = a_producer(**settings), a_consumer(**settings)
        with running(surroundings, producer, consumer) as children:
            yield Wired(sqs, s3, registry, producer, consumer, children)


@pytest.fixture
async def http(wired: Wired) -> AsyncIterator[httpx.AsyncClient]:
    base = f"http://127.0.0.1:{wired.producer.port}"
    async with httpx.AsyncClient(base_url=base, timeout=60, trust_env=False) as client:
        yield client


async def send(http: httpx.AsyncClient, number: int, prefer: str = "wait=2") -> httpx.Response:
    headers = {"Content-Type": "text/csv", "Prefer": prefer}
    return await http.post(PATH, content=account_file(number), headers=headers)


def is_labelled(answer: httpx.Response, number: int) -> bool:
    return answer.status_code == 200 and [
        row["line"] for row in answer.json()["rows"]
    ] == good_lines(number)


async def is_ready(http: httpx.AsyncClient, service: Service) -> bool:
    answer = await http.get(f"http://127.0.0.1:{service.port}/health/ready")
    return answer.status_code == 200


async def until_ready(http: httpx.AsyncClient, service: Service, *, ready: bool) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await is_ready(http, service) is not ready:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


async def until_labelled(http: httpx.AsyncClient, number: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_labelled(await send(http, number), number):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def until_refused(http: httpx.AsyncClient) -> httpx.Response:
    """What a caller is told once the replica knows that its queue is away."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await send(http, 0, "wait=30")
            if answer.status_code in TOLD_TO_RETURN:
                return answer


@pytest.mark.parametrize(
    ("name", "how"),
    [
        pytest.param("sqs", Cable.cut, id="sqs-refuses-connections"),
        pytest.param("sqs", Cable.block, id="sqs-never-answers"),
        pytest.param("s3", Cable.cut, id="s3-refuses-connections"),
    ],
)
async def test_while_a_part_is_away_callers_are_told_and_afterwards_all_goes_on(
    wired: Wired, http: httpx.AsyncClient, name: str, how: Callable[[Cable], None]
) -> None:
    await until_labelled(http, 1)
    away: Cable = getattr(wired, name)

    await asyncio.to_thread(how, away)
    for service in (wired.producer, wired.consumer):
        await until_ready(http, service, ready=False)
        assert (await http.get(f"http://127.0.0.1:{service.port}/health/live")).is_success
    numbers = range(10, 10 + CALLS_WHILE_AWAY)
    prefers = ("wait=1", "respond-async")
    answers = {n: await send(http, n, prefers[n % len(prefers)]) for n in numbers}
    await asyncio.to_thread(away.mend)

    for number, answer in answers.items():
        if answer.status_code in TOLD_TO_RETURN:
            assert int(answer.headers["retry-after"]) >= 1
        else:
            assert answer.status_code == 202 or is_labelled(answer, number)
    for service in (wired.producer, wired.consumer):
        await until_ready(http, service, ready=True)
    await until_labelled(http, 2)
    for number, answer in answers.items():
        if answer.status_code == 202:
            found = await http.get(f"{answer.headers['location']}?wait=50")
            assert is_labelled(found, number)
    assert [child.exit_code for child in wired.children] == [None, None]


async def test_a_queue_that_is_away_is_told_at_once_and_its_return_is_noticed(
    wired: Wired, http: httpx.AsyncClient
) -> None:
    await until_labelled(http, 1)
    await asyncio.to_thread(wired.sqs.cut)

    refused = await until_refused(http)
    assert refused.json()["type"] == "/problems/unavailable"
    assert int(refused.headers["retry-after"]) >= 1

    await asyncio.to_thread(wired.sqs.mend)
    await until_labelled(http, 2)


async def test_a_registry_that_is_away_changes_nothing_for_what_is_served(
    wired: Wired, http: httpx.AsyncClient
) -> None:
    await until_labelled(http, 1)

    await asyncio.to_thread(wired.registry.cut)
    answers = [(number, await send(http, number, "wait=20")) for number in range(10, 20)]
    readiness = [await is_ready(http, each) for each in (wired.producer, wired.consumer)]
    await asyncio.to_thread(wired.registry.mend)

    assert [answer.status_code for n, answer in answers if not is_labelled(answer, n)] == []
    assert readiness == [True, True]
    await until_labelled(http, 2)


async def test_a_producer_that_died_leaves_its_callers_prediction_to_another(
    running_system: RunningSystem,
) -> None:
    """The same key at another replica gives the same prediction, made once."""
    surroundings, names = running_system.system.surroundings, own_names()
    first, second, consumer = a_producer(**names), a_producer(**names), a_consumer(**names)
    with running(surroundings, first, second, consumer) as (dying, _, worker):
        async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
            headers = {
                "Content-Type": "text/csv",
                "Prefer": "wait=50",
                "Idempotency-Key": uuid4().hex,
            }
            urls = [f"http://127.0.0.1:{each.port}{PATH}" for each in (first, second)]
            worker.signal(signal.SIGSTOP)
            lost = asyncio.create_task(http.post(urls[0], content=account_file(5), headers=headers))
            await asyncio.sleep(1)
            dying.signal(signal.SIGKILL)
            with pytest.raises(httpx.TransportError):
                await lost
            again = asyncio.create_task(
                http.post(urls[1], content=account_file(5), headers=headers)
            )
            worker.signal(signal.SIGCONT)
            answer = await again
    assert is_labelled(answer, 5)
    assert answer.headers["idempotency-replayed"] == "true"
