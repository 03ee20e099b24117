"""Every message that was ever sent decodes, and today's forms are among the samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from common.sqs import OutgoingMessage, from_raw, to_entry
from tests.common.golden.samples import ENVELOPES, MESSAGES, SUPERSEDED

FOLDER = Path(__file__).parent / "golden"


def test_every_golden_file_has_its_meaning_written_down() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == {*MESSAGES, *ENVELOPES}


@pytest.mark.parametrize("name", MESSAGES)
def test_decodes_a_message_as_it_was_sent(name: str) -> None:
    sample, kind = MESSAGES[name]
    decoded = msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=kind)
    assert decoded == sample


@pytest.mark.parametrize("name", sorted(MESSAGES.keys() - SUPERSEDED))
def test_a_message_is_still_sent_in_a_form_that_is_kept(name: str) -> None:
    sample, _ = MESSAGES[name]
    assert msgspec.json.encode(sample) == (FOLDER / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", ENVELOPES)
def test_decodes_an_envelope_as_it_was_sent(name: str) -> None:
    sample = ENVELOPES[name]
    entry: dict[str, Any] = msgspec.json.decode((FOLDER / f"{name}.json").read_bytes())
    received = from_raw(
        {"Body": entry["MessageBody"], "MessageAttributes": entry["MessageAttributes"]}, "queue"
    )
    assert OutgoingMessage(body=received.body, headers=received.headers) == sample


@pytest.mark.parametrize("name", ENVELOPES)
def test_an_envelope_is_still_sent_in_a_form_that_is_kept(name: str) -> None:
    kept = msgspec.json.decode((FOLDER / f"{name}.json").read_bytes())
    assert to_entry(ENVELOPES[name], "0") == {"Id": "0", **kept}
