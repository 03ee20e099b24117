from __future__ import annotations

import json
from uuid import UUID, uuid4

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from producer.problems import KINDS
from producer.settings import Settings
from tests.producer.conftest import Client, serving
from tests.producer.parts import MODEL, RegistryServer, Worker, parcels_file, reply_at_once

PATH = f"/v1/models/{MODEL}/predictions"


def problem(answer: httpx.Response) -> str:
    """The code of an answer that must be a problem in every respect."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["status"] == answer.status_code
    assert body["title"]
    assert body["detail"]
    code: str = body["type"].removeprefix("/problems/")
    assert code in KINDS
    return code


async def test_every_error_is_a_problem_whoever_finds_it(client: Client) -> None:
    http = client.http
    answers = [
        await http.get("/nowhere"),
        await http.put("/v1/models"),
        await http.post("/v1/models/unheard-of/predictions", content=b"x"),
        await http.post(f"{PATH}?version=99", content=b"x"),
        await http.post(f"{PATH}?alias=nobody", content=b"x"),
        await http.post(f"{PATH}?version=1&alias=champion", content=b"x"),
        await http.post(PATH, content=b""),
        await http.post(PATH, content=b"name;price\na;b\n"),
        await http.post(PATH, content=b"%PDF-1.7 and so on"),
        await http.post(PATH, content=b"x" * 200_001),
        await http.post(PATH, content=b"x", headers={"content-encoding": "br"}),
        await http.post(PATH, content=b"x", headers={"content-type": "multipart/form-data"}),
        await http.post(PATH, content=b"x", headers={"prediction-id": "seven"}),
        await http.get("/v1/predictions/seven"),
        await http.get(f"/v1/predictions/{uuid4()}"),
        await http.get("/problems/unheard-of"),
        await http.get("/schema/nowhere.json"),
    ]
    assert [problem(answer) for answer in answers] == [
        "not-found",
        "method-not-allowed",
        "unknown-model",
        "unknown-version",
        "unknown-alias",
        "conflicting-selector",
        "empty-file",
        "no-header",
        "unsupported-media-type",
        "too-large",
        "unsupported-content-encoding",
        "malformed-upload",
        "invalid-prediction-id",
        "unknown-prediction",
        "unknown-prediction",
        "not-found",
        "not-found",
    ]
    assert "GET" in answers[1].headers["allow"]
    assert answers[2].json()["known"] == [MODEL]
    assert answers[3].json()["known"] == ["1"]
    assert answers[4].json()["known"] == ["champion"]
    assert answers[7].json()["looked_for"]
    assert answers[7].json()["found"]


async def test_every_type_of_problem_explains_itself_at_its_own_address(client: Client) -> None:
    listed = (await client.http.get("/problems")).json()
    assert {entry["type"] for entry in listed} == {f"/problems/{code}" for code in KINDS}
    explained = (await client.http.get(listed[0]["type"])).json()
    assert explained == listed[0]


async def test_a_refused_request_still_names_its_prediction_and_its_trace(client: Client) -> None:
    answer = await client.http.post(PATH, content=b"")
    assert str(UUID(answer.headers["prediction-id"])) == answer.headers["prediction-id"]
    assert answer.json()["instance"] == f"urn:uuid:{answer.headers['prediction-id']}"
    assert answer.headers["traceparent"].startswith("00-")


async def test_a_client_may_choose_the_id_and_any_spelling_of_it(client: Client) -> None:
    chosen = uuid4()
    answer = await client.send(b"", prediction_id=chosen.hex.upper())
    assert answer.headers["prediction-id"] == str(chosen)


async def test_models_are_listed_with_what_their_files_must_look_like(client: Client) -> None:
    (model,) = (await client.http.get("/v1/models")).json()["models"]
    (version,) = model["versions"]
    assert (model["name"], model["aliases"]) == (MODEL, {"champion": "1"})
    assert (version["version"], version["aliases"]) == ("1", ["champion"])
    columns = {column["name"]: column for column in version["contract"]["columns"]}
    assert columns["weight"]["aliases"] == ["mass"]
    assert columns["weight"]["required"]
    assert "text/csv" in version["contract"]["formats"]


async def test_the_api_document_describes_rows_headers_and_problems(client: Client) -> None:
    document = (await client.http.get("/schema/openapi.json")).json()
    operation = document["paths"]["/v1/models/{model}/predictions"]["post"]
    (rows,) = operation["requestBody"]["content"]["application/json"]["schema"]["oneOf"]
    row = document["components"]["schemas"][rows["items"]["$ref"].rpartition("/")[2]]
    assert {"sent", "weight"} <= set(row["required"])
    assert "speed" not in row["properties"]
    assert {"Prefer", "Prediction-Id"} <= {p["name"] for p in operation["parameters"]}
    assert "Server-Timing" in operation["responses"]["200"]["headers"]
    for status in ("400", "404", "409", "413", "415", "422", "429", "500", "502", "503", "504"):
        assert "application/problem+json" in operation["responses"][status]["content"]


async def test_the_api_document_describes_what_comes_later(client: Client) -> None:
    document = (await client.http.get("/schema/openapi.json")).json()
    sending = document["paths"]["/v1/models/{model}/predictions"]["post"]
    assert {"Idempotency-Key", "callback_url"} <= {p["name"] for p in sending["parameters"]}
    assert {"Location", "Retry-After"} <= set(sending["responses"]["202"]["headers"])
    assert "Retry-After" in sending["responses"]["429"]["headers"]
    operations = document["paths"]["/v1/predictions/{prediction_id}"]
    reading, cancelling = operations["get"]["responses"], operations["delete"]["responses"]
    assert {"application/json", "text/event-stream"} <= set(reading["200"]["content"])
    pending = reading["202"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    assert {"id", "status", "links"} <= set(
        document["components"]["schemas"][pending]["properties"]
    )
    assert {"404", "410", "502"} <= set(reading)
    assert {"204", "404", "409"} <= set(cancelling)


async def test_every_reference_in_the_api_document_leads_somewhere(client: Client) -> None:
    document = (await client.http.get("/schema/openapi.json")).json()
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert names <= set(document["components"]["schemas"])


async def test_the_documentation_page_loads_nothing_from_elsewhere(client: Client) -> None:
    page = await client.http.get("/", follow_redirects=True)
    assert page.headers["content-type"].startswith("text/html")
    assert "http://" not in page.text
    assert "https://" not in page.text


async def test_the_api_document_follows_the_registry(
    client: Client, registry: RegistryServer
) -> None:
    before = (await client.http.get("/schema/openapi.json")).content
    registry.contracts["2"] = (
        registry.contracts["1"]
        .replace("mass", "heft")
        .replace("recipient, type: text, role: personal", "insured, type: integer, role: feature")
    )
    registry.aliases["champion"] = "2"
    await client.producer.catalogue.refresh()
    after = await client.http.get("/schema/openapi.json")
    assert after.content != before
    assert "insured" in after.text


async def test_liveness_needs_nothing_that_can_be_away(
    settings: Settings, tracing: TracerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    nowhere = settings.model_copy(update={"tracking_uri": "http://127.0.0.1:9"})
    async with serving(nowhere, tracing) as client:
        assert (await client.http.get("/health/live")).status_code == 200
        ready = await client.http.get("/health/ready")
        assert ready.status_code == 503
        assert ready.json()["checks"]["process"] == "starting"
        refused = await client.send(parcels_file())
        assert (refused.status_code, problem(refused)) == (503, "unavailable")
        assert "retry-after" in refused.headers


async def test_one_trace_holds_the_request_its_stages_and_the_way_through_both_queues(
    client: Client, worker: Worker, settings: Settings, spans: InMemorySpanExporter
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    spans.clear()
    trace_id = uuid4().hex
    answer = await client.send(parcels_file(), traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    assert answer.headers["traceparent"].split("-")[1] == trace_id
    found = [
        s for s in spans.get_finished_spans() if format(s.context.trace_id, "032x") == trace_id
    ]
    names = [span.name for span in found]
    assert "POST /v1/models/{model}/predictions" in names
    assert "read" in names
    for part in ("request ", "process ", "receive "):
        assert any(name.startswith(part) for name in names), (part, names)


async def test_no_content_of_a_row_is_in_a_span_or_a_metric(
    client: Client, worker: Worker, settings: Settings, spans: InMemorySpanExporter
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    marked = parcels_file(
        "2026-01-02,1.50,zebracarrier,ZebraName", "2026-01-03,zebraweight,truck,Ana"
    )
    assert (await client.send(marked)).status_code == 200
    assert (await client.send(marked, prefer="handling=strict")).status_code == 422
    said = "".join(span.to_json() for span in spans.get_finished_spans())
    said += (await client.http.get("/metrics")).text
    assert "zebra" not in said.lower()


async def test_metrics_count_outcomes_and_show_a_trace_of_each_stage(
    client: Client, worker: Worker, settings: Settings
) -> None:
    await worker.start(settings.queue_prefix, reply_at_once)
    answer = await client.send(parcels_file())
    await client.send(b"")
    await client.http.post("/v1/models/unheard-of/predictions", content=b"x")
    accept = {"accept": "application/openmetrics-text; version=1.0.0"}
    text = (await client.http.get("/metrics", headers=accept)).text
    assert f'carimbo_predictions_total{{model="{MODEL}",outcome="completed"}} 1.0' in text
    assert f'carimbo_predictions_total{{model="{MODEL}",outcome="empty-file"}} 1.0' in text
    assert 'model="(unknown)",outcome="unknown-model"} 1.0' in text
    assert "unheard-of" not in text
    stage = [line for line in text.splitlines() if f'model="{MODEL}",stage="read"' in line]
    assert any(answer.headers["traceparent"].split("-")[1] in line for line in stage)
    assert text.rstrip().endswith("# EOF")
