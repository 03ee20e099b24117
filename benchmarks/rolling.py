"""Every replica is replaced under load, one after the other: no caller notices.

    python -m benchmarks.rolling [RESTARTS]

Starts a local system of two producers and two workers, keeps files coming, and RESTARTS times (20)
starts a replacement, waits until it is ready, and sends SIGTERM to the oldest of its kind. Callers
go through a balancer that does what a Kubernetes service does: it asks every producer whether it
is ready, four times a second, and gives each request to the next that was. It keeps connections
open between requests, and never sends a request twice. The exit status is 1 when any caller was
not answered with its labels, or anything was left behind.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.load import Answer, Upload, label
from client.local import children
from client.local.children import Child
from client.local.readiness import free_port, wait_until_ready
from client.local.services import Service, Surroundings
from client.local.sink import TraceSink
from client.local.system import LocalSystem
from client.local.training import generate_samples, train
from client.settings import point_at_local_engine
from common.sqs import sending_client
from common.topology import dead_letter_queue, reply_queue_prefix, requests_queue

MODEL = "card-accounts"
RESTARTS = 20
REPLICAS = 2
IN_FLIGHT = 4
LOOK_SECONDS = 0.25
LEAVE_NOTICE_SECONDS = 2
STOP_TIMEOUT_SECONDS = 40.0
SETTLE_SECONDS = 20.0
IN_FLIGHT_GAUGES = {
    "producer": "carimbo_predictions_in_flight",
    "consumer": "carimbo_consumer_in_flight",
}


@dataclass(slots=True)
class Replica:
    """One process of a kind, ready."""

    service: Service
    child: Child

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.service.port}"


@dataclass(slots=True)
class Fleet:
    """The replicas that run now, the oldest first; queues of their own under ``prefix``."""

    surroundings: Surroundings
    prefix: str = field(default_factory=lambda: f"r{uuid4().hex[:8]}-")
    replicas: list[Replica] = field(default_factory=list)
    exit_codes: list[int | None] = field(default_factory=list)

    def of(self, kind: str) -> list[Replica]:
        """Those of a kind."""
        return [each for each in self.replicas if each.service.module == kind]

    def start(self, kind: str) -> None:
        """Start one more and wait until it is ready."""
        more = {
            "producer": {"CARIMBO_LEAVE_NOTICE": str(LEAVE_NOTICE_SECONDS)},
            "consumer": {"CARIMBO_MODELS": MODEL},
        }
        service = Service(
            name=f"{kind} {uuid4().hex[:6]}",
            module=kind,
            port=free_port(),
            settings={
                "CARIMBO_QUEUE_PREFIX": self.prefix,
                "CARIMBO_BUCKET": f"{self.prefix}results",
                **more[kind],
            },
        )
        awaited = service.launch(self.surroundings)
        try:
            wait_until_ready([awaited])
        except BaseException:
            children.stop([awaited.child])
            raise
        self.replicas.append(Replica(service, awaited.child))

    def replace(self, kind: str) -> None:
        """Start a replica, then have the oldest of its kind leave."""
        self.start(kind)
        oldest = self.of(kind)[0]
        children.stop([oldest.child], STOP_TIMEOUT_SECONDS)
        self.exit_codes.append(oldest.child.exit_code)
        self.replicas.remove(oldest)

    def stop(self) -> None:
        """Stop all that is left."""
        children.stop([each.child for each in self.replicas], STOP_TIMEOUT_SECONDS)
        self.replicas.clear()


class Balancer:
    """Gives requests to the producers that were ready when last asked, in turn."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._ready: list[str] = []
        self._turn = 0

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Ask every producer, again and again, while the block runs."""
        timeout = aiohttp.ClientTimeout(total=2)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await self._look(session)
            task = asyncio.create_task(self._look_for_ever(session))
            try:
                yield
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

    def next_url(self) -> str:
        """The address of the producer whose turn it is."""
        self._turn += 1
        return self._ready[self._turn % len(self._ready)]

    async def _look_for_ever(self, session: aiohttp.ClientSession) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._look(session)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        async def is_ready(url: str) -> bool:
            try:
                async with session.get(f"{url}/health/ready") as answer:
                    return answer.status == 200
            except (aiohttp.ClientError, OSError, TimeoutError):
                return False

        urls = [replica.url for replica in self._fleet.of("producer")]
        answers = await asyncio.gather(*map(is_ready, urls))
        self._ready = [url for url, ready in zip(urls, answers, strict=True) if ready]


@dataclass(frozen=True, slots=True)
class Rolled:
    """What callers got, file by file (an exception's name where none), and what was left behind."""

    answers: Sequence[Answer | str]
    exit_codes: Sequence[int | None]
    in_flight: float
    reply_queues_left: int
    messages_left: int


async def roll(fleet: Fleet, file_of: Callable[[int], bytes], kinds: Sequence[str]) -> Rolled:
    """Replace a replica of each of ``kinds`` in turn, while callers send file after file."""
    balancer = Balancer(fleet)
    done = asyncio.Event()
    answers: dict[int, Answer | str] = {}
    numbers = iter(range(10**9))
    timeout = aiohttp.ClientTimeout(total=60)

    async def call(session: aiohttp.ClientSession) -> None:
        while not done.is_set():
            number = next(numbers)
            url = f"{balancer.next_url()}/v1/models/{MODEL}/predictions"
            try:
                answers[number] = await label(session, Upload(url, file_of(number), 20))
            except (aiohttp.ClientError, OSError, TimeoutError, IndexError) as error:
                answers[number] = repr(error)

    async with aiohttp.ClientSession(timeout=timeout) as session, balancer.looking():
        callers = [asyncio.create_task(call(session)) for _ in range(IN_FLIGHT)]
        for count, kind in enumerate(kinds, 1):
            await asyncio.to_thread(fleet.replace, kind)
            print(f"  {count} of {len(kinds)}: a {kind} replaced, {len(answers)} files", flush=True)
        done.set()
        await asyncio.gather(*callers)
        in_flight = await _settled_in_flight(session, fleet)
    return Rolled(
        answers=[answers[number] for number in sorted(answers)],
        exit_codes=fleet.exit_codes,
        in_flight=in_flight,
        reply_queues_left=await _reply_queues(fleet.prefix) - len(fleet.of("producer")),
        messages_left=await _messages(fleet.prefix),
    )


async def _settled_in_flight(session: aiohttp.ClientSession, fleet: Fleet) -> float:
    """The sum of all in-flight gauges, once it is zero or will not be."""
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    while True:
        found = [await _gauge(session, each) for each in fleet.replicas]
        if not sum(found) or asyncio.get_running_loop().time() > deadline:
            return sum(found)
        await asyncio.sleep(0.1)


async def _gauge(session: aiohttp.ClientSession, replica: Replica) -> float:
    name = IN_FLIGHT_GAUGES[replica.service.module]
    async with session.get(f"{replica.url}/metrics", headers={"Accept": "text/plain"}) as page:
        text = await page.text()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    )


async def _reply_queues(prefix: str) -> int:
    async with sending_client(connections=1) as sqs:
        found = await sqs.list_queues(QueueNamePrefix=reply_queue_prefix(prefix))
    return len(found.get("QueueUrls", []))


async def _messages(prefix: str) -> int:
    """Messages in the requests and dead-letter queues, visible or not, once none will go."""
    deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
    names = (requests_queue(prefix, MODEL), dead_letter_queue(prefix, MODEL))
    async with sending_client(connections=1) as sqs:
        urls = [(await sqs.get_queue_url(QueueName=name))["QueueUrl"] for name in names]
        while True:
            found = [
                await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]) for url in urls
            ]
            left = sum(
                int(count)
                for each in found
                for name, count in each["Attributes"].items()
                if name.startswith("ApproximateNumberOfMessages")
            )
            if not left or asyncio.get_running_loop().time() > deadline:
                return left
            await asyncio.sleep(0.2)


def show(rolled: Rolled) -> bool:
    """Print what was found; whether it is as it should be."""
    statuses = Counter(
        each if isinstance(each, str) else f"answered {each.status}" for each in rolled.answers
    )
    labelled = statuses.get("answered 200", 0)
    print(f"\n{len(rolled.exit_codes)} replicas left, exit codes {sorted(set(rolled.exit_codes))}")
    for found, count in statuses.most_common():
        print(f"  {count:6} files {found}")
    print(f"  in flight afterwards: {rolled.in_flight:.0f}")
    print(f"  reply queues left over: {rolled.reply_queues_left}")
    print(f"  messages left: {rolled.messages_left}")
    return (
        labelled == len(rolled.answers) > 0
        and set(rolled.exit_codes) == {0}
        and not (rolled.in_flight or rolled.reply_queues_left or rolled.messages_left)
    )


def main() -> int:
    """Run it all; the exit status says whether nobody noticed."""
    restarts = int(sys.argv[1]) if len(sys.argv) > 1 else RESTARTS
    with tempfile.TemporaryDirectory(prefix="carimbo-rolling-") as folder, TraceSink() as sink:
        state = Path(folder)
        system = LocalSystem(state, traces=sink.url, say=lambda text: print(text, flush=True))
        fleet = Fleet(system.surroundings)
        try:
            system.start_foundations()
            point_at_local_engine(system.surroundings.engine)
            samples = state / "samples"
            system.run_task(generate_samples([MODEL], samples, system.surroundings))
            system.run_task(train([MODEL], samples, system.surroundings))
            for kind in ("consumer", "producer") * REPLICAS:
                fleet.start(kind)
            files = [path.read_bytes() for path in sorted(samples.rglob("*.csv"))]
            kinds = [("producer", "consumer")[number % 2] for number in range(restarts)]
            rolled = asyncio.run(roll(fleet, lambda number: files[number % len(files)], kinds))
        finally:
            fleet.stop()
            system.stop()
    return 0 if show(rolled) else 1


if __name__ == "__main__":
    sys.exit(main())
