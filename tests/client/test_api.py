from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from client.api import Client, ServiceError, read_server_timing

COMPLETED = {
    "id": "1",
    "model": "cards",
    "version": "3",
    "counts": {"rows_read": 2, "labelled": 1, "rejected": 1},
    "dialect": {"encoding": "utf-8", "header_line": 1},
    "rows": [{"line": 2, "label": "SERVIÇO", "confidence": 0.5}],
    "violations": [{"code": "bad-date", "line": 3, "column": "date", "message": "not a date"}],
    "added_in_a_later_release": True,
}
PROBLEM = {
    "type": "/problems/no-header",
    "title": "No usable header was found",
    "status": 422,
    "detail": "Looked for date.",
    "prediction_id": "7",
    "violations": [{"code": "x", "line": 1, "column": None, "message": "m"}],
}


class CannedService(ThreadingHTTPServer):
    """Answers every request alike, and keeps what was asked."""

    status = 200
    body = b""
    headers: dict[str, str] = {}
    asked: BaseHTTPRequestHandler
    received = b""


class _Handler(BaseHTTPRequestHandler):
    server: CannedService

    def do_POST(self) -> None:
        self.server.received = self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked = self
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        pass


@pytest.fixture
def service() -> Iterator[CannedService]:
    with CannedService(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def client(service: CannedService) -> Iterator[Client]:
    with Client(f"http://127.0.0.1:{service.server_port}/", timeout_seconds=5) as connected:
        yield connected


def answer(service: CannedService, status: int, body: Any, **headers: str) -> None:
    service.status = status
    service.body = json.dumps(body).encode()
    service.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def test_a_file_goes_out_as_it_is_and_comes_back_labelled(
    service: CannedService, client: Client
) -> None:
    answer(
        service,
        200,
        COMPLETED,
        server_timing="read;dur=1.5, total;dur=4.000",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )

    prediction = client.predict(
        b"\x80abc", model="a/b", file_name="conta março.csv", version="3", is_strict=True
    )

    assert service.received == b"\x80abc"
    assert service.asked.path == "/v1/models/a%2Fb/predictions?version=3"
    assert service.asked.headers["Content-Type"] == "text/csv"
    assert service.asked.headers["Prefer"] == "handling=strict"
    assert service.asked.headers["Content-Disposition"].endswith("UTF-8''conta%20mar%C3%A7o.csv")
    assert (prediction.rows[0].label, prediction.violations[0].line) == ("SERVIÇO", 3)
    assert prediction.stages == {"read": 1.5, "total": 4.0}
    assert prediction.trace_id == "0af7651916cd43dd8448eb211c80319c"


def test_a_file_without_a_name_is_only_bytes(service: CannedService, client: Client) -> None:
    answer(service, 200, COMPLETED)

    prediction = client.predict(b"abc", model="cards")

    assert service.asked.path == "/v1/models/cards/predictions"
    assert service.asked.headers["Content-Type"] == "application/octet-stream"
    assert "Prefer" not in service.asked.headers
    assert prediction.trace_id == ""


def test_a_problem_becomes_an_error_that_says_all_of_it(
    service: CannedService, client: Client
) -> None:
    answer(service, 422, PROBLEM)

    with pytest.raises(ServiceError, match=r"No usable header .*422.* Looked for date") as raised:
        client.predict(b"", model="cards")

    assert (raised.value.code, raised.value.status) == ("no-header", 422)
    assert raised.value.prediction_id == "7"
    assert raised.value.violations[0].message == "m"


@pytest.mark.parametrize("status", [200, 502])
def test_an_answer_of_something_else_is_told_apart(
    service: CannedService, client: Client, status: int
) -> None:
    service.status = status
    service.body = b"<html>a proxy</html>"

    with pytest.raises(ServiceError, match="not this service's"):
        client.models()


def test_models_come_with_versions_and_aliases(service: CannedService, client: Client) -> None:
    version = {"version": "3", "aliases": ["champion"], "contract": {}}
    model = {"name": "cards", "aliases": {"champion": "3"}, "versions": [version]}
    answer(service, 200, {"models": [model]})

    (found,) = client.models()

    assert (found.name, found.aliases, found.versions[0].version) == (
        "cards",
        {"champion": "3"},
        "3",
    )


@pytest.mark.parametrize(
    ("header", "stages"),
    [
        pytest.param("", {}, id="absent"),
        pytest.param("hit", {}, id="a metric without a duration"),
        pytest.param('a;desc="x";dur=1.5,b;dur=2', {"a": 1.5, "b": 2.0}, id="other parameters"),
    ],
)
def test_server_timing_is_read_as_milliseconds_by_stage(
    header: str, stages: dict[str, float]
) -> None:
    assert read_server_timing(header) == stages
