"""Five times what the system can do: the files it takes on are answered in time, the rest at once.

    python -m benchmarks.overload [SECONDS]

Starts a local system of one producer and one consumer on an engine of its own, finds the rate that
it sustains, then lets files arrive at five times that rate, from a process of its own that waits
for nobody. Shows how long the accepted took and the refused, what memory did, how long it took
until all was normal again, and whose CPU it was. The exit status is 1 when a promise did not hold.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from benchmarks.arrivals import Arrival, Report, Schedule, run
from benchmarks.process_cpu import cpu_seconds, resident_bytes
from client.local.readiness import free_port
from client.local.services import consumers, producers
from client.local.sink import TraceSink
from client.local.system import LocalSystem
from client.local.training import generate_samples, train

MODEL = "card-accounts"
BUDGET_MS = 1000.0
REFUSAL_MS = 50.0
MOST_GROWTH = 1.10
TIMES = 5
SECONDS = 60.0
STEP_SECONDS = 6.0
FIRST_RATE = 40.0
STEP = 1.25
LONGEST_RECOVERY_SECONDS = 60.0
PROBES_IN_A_ROW = 5
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Bench:
    """The running system and the files to send it; ``pids`` by process name."""

    url: str
    pids: Mapping[str, int]
    files: tuple[Path, ...]

    def schedule(self, rate: float, seconds: float) -> Schedule:
        """Arrivals at this system."""
        return Schedule(
            urls=[self.url], files=[str(path) for path in self.files], rate=rate, seconds=seconds
        )


@dataclass(slots=True)
class Watch:
    """Resident bytes of every process, once a second while the block runs."""

    bench: Bench
    samples: dict[str, list[int]] = field(default_factory=dict)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Take samples in a thread."""
        stop = threading.Event()

        def sample() -> None:
            while not stop.wait(1.0):
                for name, pid in self.bench.pids.items():
                    self.samples.setdefault(name, []).append(resident_bytes(pid))

        thread = threading.Thread(target=sample, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@dataclass(frozen=True, slots=True)
class Overload:
    """What became of the load, and of the processes under it."""

    rate: float
    seconds: float
    report: Report
    memory: Mapping[str, Sequence[int]]
    cpu_shares: Mapping[str, float]
    normal_ms: float
    recovery_seconds: float | None


def percentile(values: Sequence[float], share: float) -> float:
    """The value that ``share`` of all do not exceed; 0 when there are none."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0.0


def taken_on(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Those that were not refused: labelled, or told to come back for the labels."""
    return [each for each in arrivals if each.status in (200, 202)]


def refused(arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Those that were told to try again later."""
    return [each for each in arrivals if each.status in (429, 503)]


def is_sustained(arrivals: Sequence[Arrival]) -> bool:
    """Whether every file was labelled, nearly all of them within the budget."""
    labelled = [each.milliseconds for each in arrivals if each.status == 200]
    return len(labelled) >= 0.999 * len(arrivals) and percentile(labelled, 0.99) < BUDGET_MS / 2


def sustainable_rate(bench: Bench) -> tuple[float, float]:
    """The highest rate of a ramp that held, and the p99 (ms) at the ramp's first step."""
    run(bench.schedule(FIRST_RATE, STEP_SECONDS))  # warm
    rate, held, normal_ms = FIRST_RATE, 0.0, 0.0
    while True:
        arrivals = run(bench.schedule(rate, STEP_SECONDS)).arrivals
        times = [each.milliseconds for each in arrivals if each.status == 200]
        p99 = percentile(times, 0.99)
        is_held = is_sustained(arrivals)
        told = "held" if is_held else "not held"
        print(f"  {rate:6.0f} files/s: {len(times)} of {len(arrivals)}, p99 {p99:.0f} ms, {told}")
        if not is_held:
            break
        normal_ms = normal_ms or p99
        held, rate = rate, rate * STEP
    if not held:
        raise RuntimeError(f"not even {FIRST_RATE:.0f} files a second were sustained")
    time.sleep(2)
    return held, normal_ms


def overload(bench: Bench, rate: float, seconds: float, normal_ms: float) -> Overload:
    """Let files arrive at ``rate``, then wait until a lone caller is served as usual."""
    watch = Watch(bench)
    before = {name: cpu_seconds([pid]) for name, pid in bench.pids.items()}
    with watch.running():
        report = run(bench.schedule(rate, seconds))
    shares = {name: (cpu_seconds([pid]) - before[name]) for name, pid in bench.pids.items()}
    recovery = _recovery_seconds(bench, normal_ms)
    return Overload(
        rate=rate,
        seconds=seconds,
        report=report,
        memory=watch.samples,
        cpu_shares={
            name: used / seconds for name, used in {**shares, "load": report.cpu_seconds}.items()
        },
        normal_ms=normal_ms,
        recovery_seconds=recovery,
    )


def _recovery_seconds(bench: Bench, normal_ms: float) -> float | None:
    """Seconds until the first of five calls in a row that are answered as fast as before."""
    started = time.monotonic()
    good_since: float | None = None
    in_a_row = 0
    content = bench.files[0].read_bytes()
    with httpx.Client(timeout=30, trust_env=False) as http:
        while (began := time.monotonic()) - started < LONGEST_RECOVERY_SECONDS:
            headers = {"Content-Type": "text/csv", "Prefer": "wait=1"}
            answer = http.post(bench.url, content=content, headers=headers)
            elapsed_ms = (time.monotonic() - began) * 1000
            if answer.status_code == 200 and elapsed_ms <= 2 * normal_ms:
                good_since = began if in_a_row == 0 else good_since
                in_a_row += 1
                if in_a_row == PROBES_IN_A_ROW and good_since is not None:
                    return good_since - started
            else:
                in_a_row = 0
            time.sleep(0.05)
    return None


def show(found: Overload, sustained: float) -> bool:
    """Print what was found beside what is promised; whether all of it held."""
    arrivals = found.report.arrivals
    accepted, told = taken_on(arrivals), refused(arrivals)
    others = len(arrivals) - len(accepted) - len(told)
    accepted_ms = [each.milliseconds for each in accepted]
    told_ms = [each.milliseconds for each in told]
    later = sum(each.status == 202 for each in accepted)
    retries = sorted({each.retry_after for each in told})
    print(f"\n{found.rate:.0f} files/s for {found.seconds:.0f} s, {sustained:.0f} sustained")
    print(f"  arrived {len(arrivals)}, taken on {len(accepted)} ({later} of them answered 202),")
    statuses = Counter(each.status for each in arrivals)
    print(f"  refused {len(told)} (Retry-After {retries} s), neither {others}: {dict(statuses)}")
    print(f"  taken on, a second: {len(accepted) / found.seconds:.0f}")
    for name, times in (("taken on", accepted_ms), ("refused", told_ms)):
        shares = "  ".join(
            f"p{share * 100:g} {percentile(times, share):7.1f}"
            for share in (0.5, 0.95, 0.99, 0.999)
        )
        print(f"  {name:9} ms: {shares}")
    late = percentile([each.late_ms for each in arrivals], 0.99)
    print(f"  of these times, p99 {late:.1f} ms are the load's own lateness")
    print("  share of one CPU: " + ", ".join(f"{n} {s:.2f}" for n, s in found.cpu_shares.items()))
    is_flat = True
    for name, sampled in found.memory.items():
        thirds = [sampled[place] / MIB for place in (len(sampled) // 3, 2 * len(sampled) // 3, -1)]
        growth = thirds[2] / thirds[0]
        is_flat = is_flat and (growth <= MOST_GROWTH or name == "engine")
        shown = " -> ".join(f"{each:.0f}" for each in thirds)
        print(f"  memory of the {name}, MiB at a third, two thirds, the end: {shown}")
    recovery = found.recovery_seconds
    told_recovery = "never" if recovery is None else f"{recovery:.1f} s"
    print(f"  as usual again (within {2 * found.normal_ms:.0f} ms) after {told_recovery}\n")
    promises = {
        f"p99 of the accepted < {BUDGET_MS:.0f} ms": percentile(accepted_ms, 0.99) < BUDGET_MS,
        f"p99 of the refusals < {REFUSAL_MS:.0f} ms": percentile(told_ms, 0.99) < REFUSAL_MS,
        "every file was told something": others == 0,
        "every refusal says when to come back": 0 not in retries,
        "memory flat from a third of the time on": is_flat,
        "as usual again within 10 s": recovery is not None and recovery < 10,
    }
    for promise, is_kept in promises.items():
        print(f"  {'kept  ' if is_kept else 'BROKEN'} {promise}")
    return all(promises.values())


def keep_apart(pids: Mapping[str, int]) -> None:
    """Give the producer a processor of its own, as a pod's request does; the load shares it.

    What the worker and the engine take would otherwise be taken from who has to refuse.
    """
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        return
    front, behind = {processors[0]}, set(processors[1:])
    for name, pid in pids.items():
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), front if name == "producer" else behind)
    os.sched_setaffinity(0, front)


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
            pids = {
                "producer": system.pid_of(producer),
                "consumer": system.pid_of(consumer),
                "engine": system.engine_pid,
            }
            keep_apart(pids)
            yield Bench(
                url=f"http://127.0.0.1:{producer.port}/v1/models/{MODEL}/predictions",
                pids=pids,
                files=tuple(sorted(samples.rglob("*.csv"))),
            )
        finally:
            system.stop()


def main() -> int:
    """Measure; the exit status says whether every promise held."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with (
        tempfile.TemporaryDirectory(prefix="carimbo-overload-") as folder,
        running_bench(Path(folder)) as bench,
    ):
        print("ramp")
        sustained, normal_ms = sustainable_rate(bench)
        is_kept = show(overload(bench, TIMES * sustained, seconds, normal_ms), sustained)
    return 0 if is_kept else 1


if __name__ == "__main__":
    sys.exit(main())
