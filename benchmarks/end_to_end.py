"""What the system costs beyond its prediction, beside the barest thing that could do the job.

    python -m benchmarks.end_to_end

Starts a local system of one producer and one consumer on an engine of its own, and measures in
turns, so that both sides of a ratio meet the same machine:

(a) p50 of one file at a time, less the prediction's own time, over a bare two-queue echo;
(b) SQS calls a file at saturation;
(c) CPU milliseconds of producer and consumer a file, without ``Booster.predict``.

Files carry an unsampled trace, as nearly all do in production; what recording every trace adds is
told apart. So is the engine's share of the CPU, which is LocalStack's and says nothing about AWS.
Every figure is the median of five rounds.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.echo import Echo, running_echo
from benchmarks.load import Answer, Upload, drive, label
from benchmarks.process_cpu import cpu_seconds
from client.local.readiness import free_port
from client.local.services import consumers, producers
from client.local.sink import TraceSink
from client.local.system import LocalSystem
from client.local.training import generate_samples, train

MODEL = "card-accounts"
ROUNDS = 5
ALONE_CALLS = 60
SATURATION_CALLS = 600
SATURATION_IN_FLIGHT = 64
WARM_UP_CALLS = 200
ECHO_BODY_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class Bench:
    """The running system and the files to send it."""

    producer_url: str
    consumer_url: str
    service_pids: tuple[int, ...]
    engine_pid: int
    files: tuple[bytes, ...]

    def uploads(self, count: int, *, is_traced: bool = False) -> list[Upload]:
        """``count`` uploads, the files in turn."""
        url = f"{self.producer_url}/v1/models/{MODEL}/predictions"
        return [
            Upload(url, self.files[number % len(self.files)], is_traced=is_traced)
            for number in range(count)
        ]


@dataclass(frozen=True, slots=True)
class Alone:
    """One round with a single file in flight, milliseconds."""

    echo_ms: float
    whole_ms: float
    predict_ms: float

    @property
    def ratio(self) -> float:
        """The system without its prediction, over the echo."""
        return (self.whole_ms - self.predict_ms) / self.echo_ms


@dataclass(frozen=True, slots=True)
class Saturated:
    """One round with many files in flight."""

    files_a_second: float
    p50_ms: float
    p99_ms: float
    calls_a_file: float
    services_cpu_ms: float
    predict_cpu_ms: float
    engine_cpu_ms: float

    @property
    def own_cpu_ms(self) -> float:
        """CPU of producer and consumer a file, without the trees."""
        return self.services_cpu_ms - self.predict_cpu_ms


async def measure(bench: Bench) -> tuple[list[Alone], list[Saturated], list[Saturated]]:
    """All rounds, after a warm-up that is not counted: alone, saturated, saturated and traced."""
    _require_all_labelled(await drive(bench.uploads(WARM_UP_CALLS), in_flight=16))
    alone: list[Alone] = []
    saturated: list[Saturated] = []
    traced: list[Saturated] = []
    async with running_echo() as echo:
        await _echo_p50(echo)
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS}", flush=True)
            alone.append(await _alone(bench, echo))
            saturated.append(await _saturated(bench, is_traced=False))
            traced.append(await _saturated(bench, is_traced=True))
    return alone, saturated, traced


async def _alone(bench: Bench, echo: Echo) -> Alone:
    echo_ms = await _echo_p50(echo)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        answers = [await label(session, upload) for upload in bench.uploads(ALONE_CALLS)]
    _require_all_labelled(answers)
    return Alone(
        echo_ms=echo_ms,
        whole_ms=median(answer.elapsed_ms for answer in answers),
        predict_ms=median(answer.stages["predict"] for answer in answers),
    )


async def _echo_p50(echo: Echo) -> float:
    body = "x" * ECHO_BODY_BYTES
    return median([await echo.round_trip(body) for _ in range(ALONE_CALLS)])


async def _saturated(bench: Bench, *, is_traced: bool) -> Saturated:
    loop = asyncio.get_running_loop()
    calls, predict = await _sqs_calls(bench), await _predict_cpu_seconds(bench)
    services, engine = cpu_seconds(bench.service_pids), cpu_seconds([bench.engine_pid])
    started = loop.time()
    uploads = bench.uploads(SATURATION_CALLS, is_traced=is_traced)
    answers = await drive(uploads, in_flight=SATURATION_IN_FLIGHT)
    elapsed = loop.time() - started
    _require_all_labelled(answers)
    times = sorted(answer.elapsed_ms for answer in answers)
    a_file_ms = 1000 / SATURATION_CALLS
    return Saturated(
        files_a_second=SATURATION_CALLS / elapsed,
        p50_ms=median(times),
        p99_ms=times[int(len(times) * 0.99)],
        services_cpu_ms=(cpu_seconds(bench.service_pids) - services) * a_file_ms,
        engine_cpu_ms=(cpu_seconds([bench.engine_pid]) - engine) * a_file_ms,
        calls_a_file=(await _sqs_calls(bench) - calls) / SATURATION_CALLS,
        predict_cpu_ms=(await _predict_cpu_seconds(bench) - predict) * a_file_ms,
    )


async def _sqs_calls(bench: Bench) -> float:
    urls = (bench.producer_url, bench.consumer_url)
    return sum([await _counter(url, "carimbo_sqs_calls_total") for url in urls])


async def _predict_cpu_seconds(bench: Bench) -> float:
    return await _counter(bench.consumer_url, "carimbo_consumer_predict_cpu_seconds_total")


async def _counter(url: str, name: str) -> float:
    """The sum of a counter over its labels, as the process exposes it."""
    timeout = aiohttp.ClientTimeout(total=10)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(f"{url}/metrics", headers={"Accept": "text/plain"}) as response,
    ):
        text = await response.text()
    found = [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name
    ]
    if not found:
        raise RuntimeError(f"{url}/metrics has no {name}; was it renamed?")
    return sum(found)


def _require_all_labelled(answers: Sequence[Answer]) -> None:
    others = [answer.status for answer in answers if answer.status != 200]
    if others:
        raise RuntimeError(f"{len(others)} of {len(answers)} files were not labelled: {others[:5]}")


@contextmanager
def running_bench(state: Path) -> Iterator[Bench]:
    """One producer and one consumer, with a model trained on generated files."""
    with TraceSink() as sink:
        system = LocalSystem(state, traces=sink.url, say=lambda text: print(text, flush=True))
        try:
            system.start_foundations()
            samples = state / "samples"
            system.run_task(generate_samples([MODEL], samples, system.surroundings))
            system.run_task(train([MODEL], samples, system.surroundings))
            [producer], [consumer] = producers(1, free_port()), consumers(1, [MODEL])
            system.start_services([consumer, producer])
            os.environ.update(
                {
                    name: value
                    for name, value in system.surroundings.environment().items()
                    if name.startswith("AWS_")
                }
            )
            yield Bench(
                producer_url=f"http://127.0.0.1:{producer.port}",
                consumer_url=f"http://127.0.0.1:{consumer.port}",
                service_pids=(system.pid_of(producer), system.pid_of(consumer)),
                engine_pid=system.engine_pid,
                files=tuple(path.read_bytes() for path in sorted(samples.rglob("*.csv"))),
            )
        finally:
            system.stop()


def report(
    bench: Bench,
    alone: Sequence[Alone],
    saturated: Sequence[Saturated],
    traced: Sequence[Saturated],
) -> None:
    """Print the medians, each with its rounds, so that the noise is seen."""

    def line(name: str, values: Sequence[float], aim: str = "") -> None:
        rounds = "  ".join(f"{value:8.2f}" for value in values)
        print(f"{name:44} {median(values):8.2f}   {aim:8} rounds: {rounds}")

    rows = median(len(content.splitlines()) - 1 for content in bench.files)
    print(f"\nfiles of {rows:.0f} rows at the median; medians of {ROUNDS} rounds\n")
    print("one file in flight")
    line("  bare echo p50, ms", [each.echo_ms for each in alone])
    line("  whole request p50, ms", [each.whole_ms for each in alone])
    line("  prediction itself, ms", [each.predict_ms for each in alone])
    line("(a) without prediction, over the echo", [each.ratio for each in alone], "<= 1.3")
    print(f"{SATURATION_IN_FLIGHT} files in flight")
    line("  files a second", [each.files_a_second for each in saturated])
    line("  p50, ms", [each.p50_ms for each in saturated])
    line("  p99, ms", [each.p99_ms for each in saturated])
    line("(b) SQS calls a file", [each.calls_a_file for each in saturated], "<= 1.0")
    line("(c) own CPU, ms a file", [each.own_cpu_ms for each in saturated], "<= 5")
    line("  prediction's CPU, ms a file", [each.predict_cpu_ms for each in saturated])
    line("  engine's CPU, ms a file", [each.engine_cpu_ms for each in saturated])
    line("  own CPU with every file traced", [each.own_cpu_ms for each in traced])


def main() -> None:
    """Run the whole benchmark; takes some two minutes."""
    with (
        tempfile.TemporaryDirectory(prefix="carimbo-bench-") as folder,
        running_bench(Path(folder)) as bench,
    ):
        report(bench, *asyncio.run(measure(bench)))


if __name__ == "__main__":
    main()
