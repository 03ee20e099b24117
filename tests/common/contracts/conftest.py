from __future__ import annotations

import pytest

SMALL = """\
family: small-things
title: Small things
decimal_mark: ","
letters: "ç"
columns:
  - name: day
    aliases: [DIA]
    type: date
    role: time
    required: true
    nullable: false
    formats: ["%d/%m/%Y"]
  - name: price
    aliases: [PREÇO, value]
    type: decimal
    role: feature
    required: true
    nullable: false
    minimum: 0.01
    maximum: 1000
    spellings: {"-": "0.50", "n/d": null}
  - name: size
    type: category
    role: feature
    values: [S, M]
    closed: true
  - name: owner
    type: text
    role: personal
  - name: note
    type: text
    role: ignored
  - name: kind
    type: category
    role: label
    values: [maçã, pera]
group: file
split: time
recipe:
  - {kind: number, column: price}
  - {kind: date, column: day, parts: [month]}
"""


@pytest.fixture
def small_yaml() -> str:
    """The YAML of a small contract that uses every part of the vocabulary."""
    return SMALL
