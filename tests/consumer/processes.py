"""Real worker processes, and a store that can be made to stall: what a kill needs to be exact."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from client.local.engine import free_port

START_SECONDS = 60.0
STOP_SECONDS = 30.0


class WorkerProcess:
    """``python -m consumer`` in a process group of its own."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "consumer"],
                env={"PATH": os.environ["PATH"], **environment, "CARIMBO_PORT": str(port)},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Wait for /health/ready to say so."""
        wait_for(lambda: self._status("/health/ready") == 200, f"a ready worker; see {self.log}")

    def wait_until_answering(self) -> None:
        """Wait until the worker speaks HTTP, ready or not."""
        wait_for(lambda: self._status("/health/live") == 200, f"a worker; see {self.log}")

    def wait_until_working(self) -> None:
        """Wait until a request is in the worker's hands."""
        wait_for(lambda: self.gauge("carimbo_consumer_in_flight") == 1, "a request in work")

    def gauge(self, name: str) -> float:
        """Sum of a metric's series."""
        lines = self.page("/metrics").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))

    def page(self, path: str) -> str:
        """What the worker serves there."""
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 - loopback
            content: bytes = answer.read()
        return content.decode()

    def health(self) -> dict[str, Any]:
        """What /health/ready says, ready or not."""
        try:
            with urllib.request.urlopen(f"{self.url}/health/ready", timeout=5) as answer:  # noqa: S310 - loopback
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as refusal:
            found = json.load(refusal)
        return found

    def kill(self) -> None:
        """SIGKILL: no code of the worker runs any more."""
        self._signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def terminate(self) -> int:
        """SIGTERM, and the exit status that follows."""
        self._signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def _status(self, path: str) -> int:
        if self._process.poll() is not None:
            raise AssertionError(f"The worker ended: {self.log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:  # noqa: S310 - loopback
                status: int = answer.status
        except urllib.error.HTTPError as refusal:
            return refusal.code
        except OSError:
            return 0
        return status


class StallingStore:
    """Passes everything on to the engine, but holds every write of a result until the end."""

    def __init__(self, engine_url: str) -> None:
        self.target = urlsplit(engine_url).netloc
        self.held = threading.Event()
        self.released = threading.Event()
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self) -> None:
                store.handle(self)

            do_GET = do_HEAD = do_PUT  # noqa: N815 - the library's names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        """Hold a result's write; pass anything else on."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if request.command == "PUT" and "/results/" in request.path:
            self.held.set()
            self.released.wait(60)
            request.close_connection = True
            return
        onward = http.client.HTTPConnection(self.target, timeout=10)
        headers = {k: v for k, v in request.headers.items() if k.lower() != "expect"}
        onward.request(request.command, request.path, body, headers)
        answer = onward.getresponse()
        content = answer.read()
        request.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                request.send_header(name, value)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)
        onward.close()

    @contextmanager
    def running(self) -> Iterator[StallingStore]:
        """Serve on a thread."""
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def wait_for(condition: Any, what: str) -> None:
    """Ask again and again until it is so."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"Waited {START_SECONDS:g} s in vain for {what}.")
        time.sleep(0.05)
