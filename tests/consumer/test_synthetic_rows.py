from __future__ import annotations

from typing import Any

import msgspec
import pytest

from common.contracts import columns_type, parse_contract, recipe_columns, shipped_contracts
from consumer.synthetic_rows import SYNTHETIC_ROWS, synthetic_columns


@pytest.mark.parametrize("family", sorted(shipped_contracts()))
def test_rows_made_from_a_contract_are_rows_of_that_contract(family: str) -> None:
    contract = shipped_contracts()[family]

    columns: Any = msgspec.json.decode(synthetic_columns(contract), type=columns_type(contract))

    for name in recipe_columns(contract):
        assert len(getattr(columns, name)) == SYNTHETIC_ROWS


def test_bounds_are_kept_and_missing_cells_come_where_they_may(bounded_contract: str) -> None:
    contract = parse_contract(bounded_contract, source="bounded.yaml")

    columns: Any = msgspec.json.decode(synthetic_columns(contract), type=columns_type(contract))

    assert all(12 <= count <= 20 for count in columns.parcels)
    assert columns.weight[0] is not None
    assert columns.weight[-1] is None
    assert str(columns.sent[0]) == "2030-01-01"
    assert columns.carrier[0] == "barge"


@pytest.fixture
def bounded_contract() -> str:
    return """\
family: bounded
title: Bounded
group: file
split: group
columns:
  - {name: parcels, type: integer, role: feature, required: true, nullable: false,
     minimum: 12, maximum: 20}
  - {name: weight, type: decimal, role: feature, required: true, maximum: -3.5}
  - {name: sent, type: date, role: feature, required: true, nullable: false,
     minimum: 2030-01-01, formats: ["%Y-%m-%d"]}
  - {name: carrier, type: category, role: feature, required: true, nullable: false,
     values: [barge, train], closed: true}
  - {name: outcome, type: category, role: label}
recipe:
  - {kind: number, column: parcels}
  - {kind: number, column: weight}
  - {kind: elapsed, start: sent, end: sent}
  - {kind: category, column: carrier}
"""
