"""``python -m tests.chaos``: a run, its ledger, and an exit code that says whether it closes."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvloop

from client.errors import CommandError
from client.settings import local_aws
from common.aws import aws_client
from common.topology import requests_queue
from tests.chaos.audit import audit, stored, when_empty
from tests.chaos.broken import BREAKS
from tests.chaos.calm import watch_the_calm
from tests.chaos.clients import Account, Clients, client_session
from tests.chaos.ledger import Evidence, Ledger, account_for
from tests.chaos.models import FAMILY, Models, register
from tests.chaos.proxy import Proxy
from tests.chaos.receiver import Receiver
from tests.chaos.sendings import plan
from tests.chaos.storm import Storm
from tests.chaos.system import BUCKET, CONSUMERS, PREFIX, PRODUCERS, System, foundations

FILES_A_SECOND = 40
NEARLY_ALL = 0.97
LONGEST_STORM = 3
"""Times as long as the sending: then the faults end, and what is not answered has to be."""
SHORTEST_STORM_SECONDS = 30.0
LAST_READS_AT_ONCE = 16
LAST_READ_ATTEMPTS = 5
LAST_ANSWER_SECONDS = 20.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the ledger; 0 when it closes, 1 when it does not."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--predictions", type=int, default=5000)
    parser.add_argument("--break", dest="law", choices=sorted(BREAKS), default=None)
    parser.add_argument("--keep", type=Path, help="a folder for logs and state that stays")
    found = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="carimbo-chaos-") as folder:
        state = found.keep or Path(folder)
        try:
            with foundations(state, found.law) as system:
                ledger = uvloop.run(run(system, found.seed, found.predictions))
        except CommandError as error:
            print(f"chaos: {error}", file=sys.stderr)  # noqa: T201
            return 2
    verdict = "The account closes." if ledger.closes else "The account does NOT close."
    print(f"{ledger.text()}\n{verdict}", flush=True)  # noqa: T201
    return 0 if ledger.closes else 1


async def run(system: System, seed: int, predictions: int) -> Ledger:
    """One run on a running engine and registry."""
    draw = random.Random(seed)  # noqa: S311 - the same every time is the point
    models = await asyncio.to_thread(register, system.mlflow)
    os.environ.update(local_aws(system.engine.url))
    proxy = Proxy(system.engine.port, random.Random(seed + 1))  # noqa: S311
    receiver = Receiver(system.secret, random.Random(seed + 2))  # noqa: S311
    async with (
        aws_client("s3", connections=8) as s3,
        aws_client("sqs", connections=8, read_timeout_seconds=30.0) as sqs,
        proxy.listening(),
        receiver.listening(),
        client_session() as session,
    ):
        await s3.create_bucket(Bucket=BUCKET)
        await s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        await asyncio.to_thread(system.start_services, proxy.url)
        say(f"{PRODUCERS} producers, {CONSUMERS} consumers, seed {seed}, law broken: {system.law}")
        supervisor = asyncio.create_task(system.keep_alive(proxy.url))
        url = (await sqs.get_queue_url(QueueName=requests_queue(PREFIX, FAMILY)))["QueueUrl"]
        storm = Storm(system, proxy, sqs, url, draw)
        producers = [replica.url for replica in system.of("producer")]
        clients = Clients(
            session,
            producers,
            models.versions,
            receiver.url,
            random.Random(seed + 3),  # noqa: S311
        )
        accounts: list[Account] = []
        sending = await _through_the_storm(storm, clients, seed, predictions, accounts)
        await system.wait_until_ready()
        await when_empty(sqs)
        # Whoever has no answer now, with nothing on its way any more, will not get one.
        await asyncio.wait({sending}, timeout=LAST_ANSWER_SECONDS)
        sending.cancel()
        await asyncio.wait({sending})
        say("the queues are empty; the calm")
        calm = await watch_the_calm(system, clients, seed, predictions, accounts)
        await when_empty(sqs)
        say("the last look at every prediction")
        finals = await _finals(clients, accounts)
        found = await audit(s3, sqs)
        told = {identity for account in accounts for identity in account.ids}
        strays = {identity: await stored(s3, identity) for identity in found.results.keys() - told}
        supervisor.cancel()
        with suppress(asyncio.CancelledError):
            await supervisor
    return _ledger(
        Evidence(
            accounts=accounts,
            finals=finals,
            strays=strays,
            audit=found,
            receiver=receiver,
            calm=calm,
            garbage=storm.garbage,
            empty_requests=storm.empty_requests,
            labels=models.expected_labels,
            producer_starts=sum(replica.starts for replica in system.of("producer")),
        ),
        storm,
        proxy,
        system,
    )


async def _through_the_storm(
    storm: Storm, clients: Clients, seed: int, predictions: int, accounts: list[Account]
) -> asyncio.Task[None]:
    """Send everything under faults, which end when nearly all is answered; the rest goes on."""
    seconds = max(SHORTEST_STORM_SECONDS, predictions / FILES_A_SECOND)
    over = asyncio.Event()
    raging = asyncio.create_task(storm.rage(over))
    sending = asyncio.create_task(clients.run(plan(seed, predictions, seconds), accounts))
    began = time.monotonic()
    while not sending.done() and len(accounts) < NEARLY_ALL * predictions:
        if time.monotonic() - began > LONGEST_STORM * seconds:
            break
        await asyncio.wait({sending}, timeout=5.0)
        say(f"{time.monotonic() - began:4.0f} s: {len(accounts)} of {predictions} ended")
        if raging.done():
            raging.result()
    over.set()
    await raging
    say("the storm is over")
    return sending


async def _finals(clients: Clients, accounts: Sequence[Account]) -> dict[str, bytes]:
    """What every accepted prediction is answered now."""
    places = asyncio.Semaphore(LAST_READS_AT_ONCE)
    finals: dict[str, bytes] = {}

    async def one(identity: str) -> None:
        async with places:
            for _ in range(LAST_READ_ATTEMPTS):
                reply = await clients.read(identity)
                if reply is not None and reply.status not in (429, 503):
                    finals[identity] = reply.body
                    return

    await asyncio.gather(*(one(a.prediction_id) for a in accounts if a.is_accepted))
    return finals


def _ledger(evidence: Evidence, storm: Storm, proxy: Proxy, system: System) -> Ledger:
    ledger = account_for(evidence)
    faults = [(event, str(times)) for event, times in sorted(storm.events.items())]
    ledger.lines[:0] = [
        *faults,
        ("connections cut, answers lost", f"{proxy.cut}, {proxy.lost}"),
        ("requests sent a second time by us", str(storm.duplicates)),
        ("second results that the store refused", str(proxy.second_results)),
        ("workers that died of a file", str(system.died.get("consumer", 0))),
    ]
    return ledger


def say(text: str) -> None:
    """Tell a person how far it is."""
    print(text, flush=True)  # noqa: T201


__all__ = ["Models", "main", "run"]

if __name__ == "__main__":
    sys.exit(main())
