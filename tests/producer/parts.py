"""The producer's neighbours: a registry over real HTTP, a worker on the real engine."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from client.local.engine import free_port
from common.contracts import Contract, contract_digest, parse_contract
from common.faststream_sqs import SQSBroker, SQSQueue
from common.faststream_sqs.annotations import SQSMessage
from common.messages import Completed, PredictionReply, PredictionRequest
from common.objects import ObjectStore
from common.registry import Tag
from common.topology import dead_letter_queue, requests_queue, result_key

MODEL = "parcels"
CONTRACT = """\
family: parcels
title: Parcels
decimal_mark: "."
group: file
split: group
columns:
  - {name: sent, type: date, role: time, required: true, nullable: false, formats: ["%Y-%m-%d"]}
  - {name: weight, type: decimal, role: feature, required: true, nullable: false, aliases: [mass]}
  - {name: carrier, type: category, role: feature, required: true}
  - {name: recipient, type: text, role: personal}
  - {name: speed, type: category, role: label}
recipe:
  - {kind: number, column: weight, transform: identity}
  - {kind: category, column: carrier, min_count: 1, max_levels: 10}
"""
HEADER = "sent,weight,carrier,recipient"
GOOD_ROWS = ("2026-01-02,1.50,barge,Ana", "2026-01-03,2.75,truck,Rui", "2026-01-04,3.00,train,Eva")
BAD_ROW = "2026-01-05,heavy,truck,Ivo"


def parcels_contract() -> Contract:
    """The contract of the only family in these tests."""
    return parse_contract(CONTRACT, source="parcels.yaml")


def parcels_file(*rows: str) -> bytes:
    """A file of parcels; three good rows unless told."""
    return ("\n".join([HEADER, *(rows or GOOD_ROWS)]) + "\n").encode()


@dataclass
class RegistryServer:
    """Answers as MLflow's REST interface does, from memory. Stops and starts on one port."""

    aliases: dict[str, str] = field(default_factory=lambda: {"champion": "1"})
    contracts: dict[str, str] = field(default_factory=lambda: {"1": CONTRACT})
    tags: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    requests: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The tracking URI."""
        return f"http://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Iterator[None]:
        """Answer until the block ends."""
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                registry.requests.append(path)
                body = registry.answer(path)
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                self.wfile.write(body if body is not None else b"{}")

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                registry.write(self.path, msgspec.json.decode(self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, path: str) -> bytes | None:
        """The body for a path, or None when there is nothing."""
        if path.endswith("/model-versions/search"):
            return msgspec.json.encode({"model_versions": list(map(self._version, self.contracts))})
        if path.endswith("/registered-models/search"):
            return msgspec.json.encode({"registered_models": [self._model()]})
        if path.endswith("/registered-models/get"):
            return msgspec.json.encode({"registered_model": self._model()})
        name = path.rstrip("/").split("/")
        if "logged-models" in name:
            info = {"artifact_uri": f"mlflow-artifacts:/1/{name[-1]}"}
            return msgspec.json.encode({"model": {"info": info}})
        if name[-1] == "contract.yaml":
            return self.contracts[name[-2].removeprefix("m-")].encode()
        return None

    def write(self, path: str, body: dict[str, str]) -> None:
        """Set a tag of the model."""
        assert path.endswith("/registered-models/set-tag"), path
        assert body["name"] == MODEL
        self.tags[body["key"]] = body["value"]

    def _model(self) -> dict[str, object]:
        aliases = [{"alias": a, "version": v} for a, v in self.aliases.items()]
        tags = [{"key": key, "value": value} for key, value in self.tags.items()]
        return {"name": MODEL, "aliases": aliases, "tags": tags}

    def _version(self, number: str) -> dict[str, object]:
        contract = parse_contract(self.contracts[number], source="test")
        tags = [{"key": Tag.CONTRACT, "value": contract_digest(contract)}]
        return {"name": MODEL, "version": number, "model_id": f"m-{number}", "tags": tags}


def labelled(request: PredictionRequest) -> Completed:
    """What a worker answers: each row's label tells its line, so that answers cannot be mixed."""
    return Completed(
        prediction_id=request.prediction_id,
        model=request.model,
        version=request.version or "1",
        fingerprint=request.fingerprint,
        rows_read=request.rows_read,
        lines=request.lines,
        labels=[f"speed-{line}" for line in request.lines],
        confidences=[0.5] * len(request.lines),
        violations=request.violations,
        stages={"queue": 0.0, "features": 0.25, "predict": 0.5},
        dialect=request.dialect,
    )


Act = Callable[[PredictionRequest], Awaitable[PredictionReply | None]]


@dataclass
class Worker:
    """A worker that does what a test says: reply, or None for a reply that never comes."""

    broker: SQSBroker
    store: ObjectStore
    seen: list[PredictionRequest] = field(default_factory=list)

    async def start(self, prefix: str, act: Act) -> None:
        """Receive parcels until the broker stops."""
        queue = SQSQueue(
            requests_queue(prefix, MODEL), dead_letter=dead_letter_queue(prefix, MODEL)
        )

        @self.broker.subscriber(queue)
        async def work(request: PredictionRequest, message: SQSMessage) -> PredictionReply | None:
            self.seen.append(request)
            reply = await act(request)
            if reply is None:
                message.reply_to = ""
            return reply

        await self.broker.start()

    async def objects(self) -> list[str]:
        """Every key in the bucket."""
        found = await self.store._client.list_objects_v2(Bucket=self.store.bucket)
        return [entry["Key"] for entry in found.get("Contents", [])]

    async def keep(self, reply: PredictionReply) -> None:
        """Store a result as a worker does."""
        key = result_key(reply.prediction_id)
        await self.store.put_once(key, msgspec.json.encode(reply), "application/json")


def store_and_reply(worker: Worker) -> Act:
    """What a real worker does."""

    async def act(request: PredictionRequest) -> PredictionReply | None:
        await worker.keep(labelled(request))
        return labelled(request)

    return act


async def reply_at_once(request: PredictionRequest) -> PredictionReply | None:
    """The usual worker."""
    return labelled(request)
