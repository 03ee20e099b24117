"""Each case is a process of its own: what is set up is the process's own logging and tracing."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

SETUP = """
import logging, types
import structlog
from common.telemetry import configure_logging, configure_tracing, prediction_in_logs
configure_logging(types.SimpleNamespace(log_level="{level}", log_format="{log_format}"))
tracer = configure_tracing("some-service").get_tracer("test")
log = structlog.get_logger("ours")
"""


def run(code: str, *, level: str = "INFO", log_format: str = "json", **environment: str) -> str:
    finished = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", SETUP.format(level=level, log_format=log_format) + code],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def lines(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


def test_our_lines_and_a_librarys_carry_the_same_trace_and_prediction() -> None:
    ours, theirs, outside = lines(
        run("""
with tracer.start_as_current_span("work"), prediction_in_logs("p-1"):
    log.info("ours", size=3)
    logging.getLogger("some.library").warning("theirs %d", 4)
log.info("outside")
""")
    )
    assert (ours["event"], theirs["event"]) == ("ours", "theirs 4")
    assert ours["trace_id"] == theirs["trace_id"]
    assert len(ours["trace_id"]) == 32
    assert len(ours["span_id"]) == 16
    assert ours["prediction_id"] == theirs["prediction_id"] == "p-1"
    assert theirs["logger"] == "some.library"
    assert not {"trace_id", "prediction_id"} & set(outside)


def test_a_traceback_shows_where_but_no_variable() -> None:
    (line,) = lines(
        run("""
def work(row):
    raise ValueError("told")
try:
    work("canary of a row")
except ValueError:
    log.exception("failed")
""")
    )
    assert line["exception"][0]["exc_type"] == "ValueError"
    assert "canary" not in json.dumps({**line, "exception": line["exception"][0]["frames"]})


def test_a_traceback_on_a_console_shows_no_variable_either() -> None:
    said = run(
        """
def work(row):
    raise ValueError("told")
try:
    work("canary" + " of a row")
except ValueError:
    log.exception("failed")
""",
        log_format="console",
    )
    assert "ValueError: told" in said
    assert "canary of a row" not in said


@pytest.mark.parametrize("level", ["DEBUG", "INFO"])
def test_the_client_of_aws_never_prints_the_bodies_that_its_debug_lines_hold(level: str) -> None:
    said = run(
        """
logging.getLogger("botocore.endpoint").debug("canary")
logging.getLogger("aiobotocore.endpoint").debug("canary")
""",
        level=level,
    )
    assert "canary" not in said


def test_lines_below_the_level_are_not_written() -> None:
    said = run("log.info('a'); logging.getLogger('b').info('b'); log.error('c')", level="WARNING")
    assert [line["event"] for line in lines(said)] == ["c"]


def test_a_warning_is_a_line_like_any_other() -> None:
    (line,) = lines(run("import warnings; warnings.warn('old')"))
    assert "old" in line["event"]


def test_a_level_that_does_not_exist_is_told_with_those_that_do() -> None:
    with pytest.raises(AssertionError, match="WARNING"):
        run("", level="LOUD")


SAMPLED = "print(tracer.start_span('s').get_span_context().trace_flags.sampled)"
FOLLOWED = """
from opentelemetry import propagate
parent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
context = propagate.extract({"traceparent": parent})
print(tracer.start_span('s', context=context).get_span_context().trace_flags.sampled)
"""


def test_a_trace_that_nobody_would_see_is_not_recorded_unless_its_caller_records_it() -> None:
    assert run(SAMPLED).strip() == "False"
    assert run(FOLLOWED).strip() == "True"


def test_with_an_endpoint_traces_are_recorded_and_the_standard_sampler_decides() -> None:
    endpoint = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    assert run(SAMPLED, **endpoint).strip() == "True"
    never = {**endpoint, "OTEL_TRACES_SAMPLER": "parentbased_always_off"}
    assert run(SAMPLED, **never).strip() == "False"


@pytest.mark.parametrize(
    ("environment", "name"), [({}, "some-service"), ({"OTEL_SERVICE_NAME": "other"}, "other")]
)
def test_the_services_name_can_be_set_the_standard_way(
    environment: dict[str, str], name: str
) -> None:
    provider = "from opentelemetry import trace\nprovider = trace.get_tracer_provider()\n"
    assert (
        run(provider + "print(provider.resource.attributes['service.name'])", **environment).strip()
        == name
    )
