"""Fifty flips of an alias under load: nobody notices but by the version that an answer names.

    python -m benchmarks.flips [SECONDS]

Starts a local system of one producer and one consumer on an engine of its own, and registers
versions of one model that can be told apart: each ends every label with its own mark. The same load
runs in turns with the alias at rest and with the alias moving on ten times; a worker keeps one
spare version, so that every flip loads a version anew. Shows the p99 of both, what memory did, and
every answer that failed or mixed versions: of these there may be none. The exit status is 1 when a
promise did not hold. SECONDS is the length of a turn (10).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import msgspec

from benchmarks.load import Answer, Upload, label
from benchmarks.process_cpu import resident_bytes
from client.local.readiness import free_port
from client.local.services import consumers, producers
from client.local.sink import TraceSink
from client.local.system import LocalSystem
from client.local.training import generate_samples, train
from common.features.encoders import decode, encode
from common.registry import (
    CONTRACT_FILE,
    ENCODERS_FILE,
    MODEL_FILE,
    Alias,
    ModelFiles,
    Registry,
    Tag,
    files_digest,
)

MODEL = "card-accounts"
API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
PROXIED = "mlflow-artifacts:/"
VERSIONS = 4
TURNS = 5
FLIPS_A_TURN = 10
SECONDS = 10.0
IN_FLIGHT = 4
"""A load that the system carries with ease: a queue would hide what a flip costs."""

WARM_UP_CALLS = 200
MOST_GROWTH = 1.10
NOISE = 1.25
"""The p99 of one turn beside another's differs by as much with nothing going on."""

FOLLOW = {"CARIMBO_REGISTRY_REFRESH": "PT0.2S", "CARIMBO_SPARE_VERSIONS": "1"}
MIB = 1024 * 1024


@dataclass(slots=True)
class Turn:
    """One turn's answers. ``seen`` counts how often the version of the answers changed."""

    answers: list[Answer] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    seen: int = 0

    @property
    def p99_ms(self) -> float:
        """Of the answers' whole time at the caller."""
        times = sorted(answer.elapsed_ms for answer in self.answers)
        return times[int(len(times) * 0.99)]

    @property
    def p50_ms(self) -> float:
        """The middle of the same times."""
        return median(answer.elapsed_ms for answer in self.answers)


@dataclass(frozen=True, slots=True)
class Bench:
    """The running system, and the files to send it; ``pids`` by process name."""

    mlflow: str
    url: str
    pids: Mapping[str, int]
    files: tuple[bytes, ...]

    def memory(self) -> dict[str, int]:
        """What each process holds now, in bytes."""
        return {name: resident_bytes(pid) for name, pid in self.pids.items()}


async def register_marked(registry: aiohttp.ClientSession, files: ModelFiles, mark: str) -> str:
    """Register the same trees again, with ``mark`` at the end of every label; the new version."""
    encoders = decode(files.encoders)
    labels = [f"{name}{mark}" for name in encoders.labels]
    marked = encode(msgspec.structs.replace(encoders, labels=labels))
    contents = {
        MODEL_FILE: files.model,
        ENCODERS_FILE: marked,
        CONTRACT_FILE: files.contract,
    }
    model = files.version.model
    async with registry.get(
        f"{API}/experiments/get-by-name", params={"experiment_name": model}
    ) as answer:
        experiment = (await answer.json())["experiment"]["experiment_id"]
    made = await _post(registry, "logged-models", experiment_id=experiment, name="model")
    info = made["model"]["info"]
    folder = info["artifact_uri"].removeprefix(PROXIED).strip("/")
    for name, content in contents.items():
        async with registry.put(f"{ARTIFACTS}/{folder}/{name}", data=content) as answer:
            answer.raise_for_status()
    digest = files_digest(model=files.model, encoders=marked, contract=files.contract)
    tags = {**files.version.tags, Tag.DIGEST.value: digest}
    version = await _post(
        registry,
        "model-versions/create",
        name=model,
        source=f"models:/{info['model_id']}",
        model_id=info["model_id"],
        tags=[{"key": key, "value": value} for key, value in tags.items()],
    )
    return str(version["model_version"]["version"])


async def _post(registry: aiohttp.ClientSession, path: str, **body: object) -> dict[str, Any]:
    async with registry.post(f"{API}/{path}", json=body) as answer:
        answer.raise_for_status()
        found: dict[str, Any] = await answer.json()
        return found


async def turn(
    bench: Bench, marks: Mapping[str, str], seconds: float, flips: Sequence[str]
) -> Turn:
    """Keep the load up for ``seconds``, and let the alias move on through ``flips`` meanwhile."""
    found = Turn()
    over = asyncio.Event()
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session, asyncio.TaskGroup() as group:

        async def ask_on(place: int) -> None:
            number = place
            while not over.is_set():
                upload = Upload(bench.url, bench.files[number % len(bench.files)], is_traced=False)
                number += IN_FLIGHT
                found.answers.append(await label(session, upload))

        for place in range(IN_FLIGHT):
            group.create_task(ask_on(place))
        async with Registry(bench.mlflow) as registry:
            for version in flips:
                await registry.point(MODEL, Alias.CHAMPION, version)
                await asyncio.sleep(seconds / len(flips))
        await asyncio.sleep(0 if flips else seconds)
        over.set()
    judge(found, marks)
    return found


def judge(found: Turn, marks: Mapping[str, str]) -> None:
    """Note every answer that failed, or whose labels are not those of the version it names."""
    before = ""
    for answer in found.answers:
        if answer.status != 200:
            found.failures.append(f"{answer.prediction_id}: HTTP {answer.status}")
            continue
        version = answer.body["version"]
        mark = marks.get(version)
        wrong = [row for row in answer.body["rows"] if not mark or not row["label"].endswith(mark)]
        if wrong:
            found.failures.append(
                f"{answer.prediction_id}: {len(wrong)} labels are not of version {version}"
            )
        found.seen += bool(before) and version != before
        before = version


async def measure(bench: Bench, seconds: float) -> tuple[list[Turn], list[Turn], dict[str, float]]:
    """All turns, at rest and moving one after the other, and the growth of each process."""
    async with Registry(bench.mlflow) as reading:
        files = await reading.files(await reading.version_by_alias(MODEL, Alias.CHAMPION))
        async with aiohttp.ClientSession(bench.mlflow) as writing:
            made = [await register_marked(writing, files, f"~{at}") for at in range(VERSIONS)]
        marks = {version: f"~{at}" for at, version in enumerate(made)}
        await reading.point(MODEL, Alias.CHAMPION, made[0])
    await asyncio.sleep(2.0)  # until producer and worker have seen it
    await _warm_up(bench, marks)
    resting: list[Turn] = []
    moving: list[Turn] = []
    flips = [made[(at + 1) % VERSIONS] for at in range(TURNS * FLIPS_A_TURN)]
    start: dict[str, int] = {}
    for number in range(TURNS):
        print(f"turn {number + 1} of {TURNS}", flush=True)
        resting.append(await turn(bench, marks, seconds, ()))
        start = start or bench.memory()
        own = flips[number * FLIPS_A_TURN : (number + 1) * FLIPS_A_TURN]
        moving.append(await turn(bench, marks, seconds, own))
    end = bench.memory()
    return resting, moving, {name: end[name] / held for name, held in start.items()}


async def _warm_up(bench: Bench, marks: Mapping[str, str]) -> None:
    """Also through every version once: what a process holds then is what it needs."""
    for version in marks:
        await turn(bench, marks, 1.0, [version])
    await turn(bench, marks, 1.0, [next(iter(marks))])


def report(resting: Sequence[Turn], moving: Sequence[Turn], growth: Mapping[str, float]) -> int:
    """Print the figures beside the promises; the exit status."""
    failures = [failure for each in (*resting, *moving) for failure in each.failures]
    p99 = [median(each.p99_ms for each in turns) for turns in (resting, moving)]
    print(f"\n{'':10} {'files':>7} {'p50 ms':>8} {'p99 ms':>8}   p99 of each turn, ms")
    for name, turns, middle in (("at rest", resting, p99[0]), ("moving", moving, p99[1])):
        count = sum(len(each.answers) for each in turns)
        p50 = median(each.p50_ms for each in turns)
        rounds = "  ".join(f"{each.p99_ms:6.0f}" for each in turns)
        print(f"{name:10} {count:7} {p50:8.1f} {middle:8.1f}   {rounds}")
    seen = sum(each.seen for each in moving)
    print(f"\n{TURNS * FLIPS_A_TURN} flips; the version changed {seen} times between two answers")
    ratio = p99[1] / p99[0]
    checks = {
        f"{len(failures)} answers failed or mixed versions": not failures,
        f"p99 moving is {ratio:.2f} of p99 at rest (<= {NOISE})": ratio <= NOISE,
        **{
            f"{name} holds {grown:.2f} of what it held (< {MOST_GROWTH})": grown < MOST_GROWTH
            for name, grown in growth.items()
        },
    }
    for what, holds in checks.items():
        print(f"{'held  ' if holds else 'BROKEN'} {what}")
    for failure in failures[:20]:
        print(f"  {failure}")
    return 0 if all(checks.values()) else 1


@contextmanager
def running_bench(state: Path) -> Iterator[Bench]:
    """One producer and one consumer that look at the registry five times a second."""
    with TraceSink() as sink:
        system = LocalSystem(state, traces=sink.url, say=lambda text: print(text, flush=True))
        try:
            system.start_foundations()
            samples = state / "samples"
            system.run_task(generate_samples([MODEL], samples, system.surroundings))
            system.run_task(train([MODEL], samples, system.surroundings))
            services = [
                replace(service, settings={**service.settings, **FOLLOW})
                for service in (*consumers(1, [MODEL]), *producers(1, free_port()))
            ]
            system.start_services(services)
            yield Bench(
                mlflow=system.surroundings.mlflow,
                url=f"http://127.0.0.1:{services[1].port}/v1/models/{MODEL}/predictions",
                pids={service.module: system.pid_of(service) for service in services},
                files=tuple(path.read_bytes() for path in sorted(samples.rglob("*.csv"))),
            )
        finally:
            system.stop()


def main() -> int:
    """Run the whole benchmark; takes some two minutes."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with (
        tempfile.TemporaryDirectory(prefix="carimbo-flips-") as folder,
        running_bench(Path(folder)) as bench,
    ):
        return report(*asyncio.run(measure(bench, seconds)))


if __name__ == "__main__":
    sys.exit(main())
