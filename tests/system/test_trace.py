"""One trace a file, from the HTTP request through both queues to the reply."""

from __future__ import annotations

import time

import httpx
import pytest

from client.local.spans import Span, grow_tree
from tests.system.conftest import RunningSystem
from tests.system.files import account_file

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

STAGES = {"read", "decode", "features", "predict", "store"}


def whole_trace(running_system: RunningSystem, trace_id: str) -> list[Span]:
    """The trace once both services have exported their part, or what there is after a while."""
    spans: list[Span] = []
    for _ in range(100):
        spans = running_system.traces.spans(trace_id)
        if {span.name for span in spans} >= STAGES and not any(
            span.parent_id and span.parent_id not in {each.span_id for each in spans}
            for span in spans
        ):
            break
        time.sleep(0.1)
    return spans


def test_a_file_is_one_tree_of_spans_over_both_services(running_system: RunningSystem) -> None:
    response = httpx.post(
        running_system.predictions_url("card-accounts"),
        content=account_file(7),
        headers={"Content-Type": "text/csv"},
        timeout=30,
    )
    trace_id = response.headers["traceparent"].split("-")[1]

    spans = whole_trace(running_system, trace_id)

    assert {span.trace_id for span in spans} == {trace_id}
    assert len({span.service for span in spans}) == 2
    assert {span.name for span in spans} >= STAGES
    assert len(grow_tree(spans)) == 1, "every span hangs under the HTTP request's"


def test_a_caller_s_own_trace_goes_on(running_system: RunningSystem) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    response = httpx.post(
        running_system.predictions_url("card-accounts"),
        content=account_file(8),
        headers={
            "Content-Type": "text/csv",
            "traceparent": f"00-{trace_id}-b7ad6b7169203331-01",
        },
        timeout=30,
    )

    assert response.headers["traceparent"].split("-")[1] == trace_id
    assert {span.trace_id for span in whole_trace(running_system, trace_id)} == {trace_id}
