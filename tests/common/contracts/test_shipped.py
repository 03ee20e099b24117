"""The contracts that ship, and the types that are made from them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from common.contracts import (
    Contract,
    Role,
    columns_type,
    contract_digest,
    load_contract,
    parse_contract,
    recipe_columns,
    row_type,
    shipped_contracts,
)

SHIPPED = sorted(shipped_contracts())


@pytest.fixture(params=SHIPPED)
def contract(request: pytest.FixtureRequest) -> Contract:
    return shipped_contracts()[request.param]


def test_two_families_ship() -> None:
    assert SHIPPED == ["card-accounts", "purchase-cards"]


def test_no_personal_or_ignored_column_travels(contract: Contract) -> None:
    for name in recipe_columns(contract):
        assert contract.column(name).role in (Role.FEATURE, Role.TIME, Role.GROUP)


def test_age_sex_and_home_are_personal() -> None:
    contract = shipped_contracts()["card-accounts"]

    personal = {column.name for column in contract.columns if column.role is Role.PERSONAL}

    assert {"age", "sex", "home_city", "home_state"} <= personal


def test_the_digest_follows_the_meaning_and_not_the_layout(small_yaml: str) -> None:
    digest = contract_digest(parse_contract(small_yaml, source="a"))

    commented = contract_digest(parse_contract("# a remark\n" + small_yaml, source="b"))
    changed = contract_digest(parse_contract(small_yaml.replace("[month]", "[day]"), source="c"))

    assert digest == commented
    assert digest != changed


def test_the_source_text_gives_the_same_contract_again(contract: Contract) -> None:
    again = parse_contract(contract.source_text, source="logged.yaml")

    assert contract_digest(again) == contract_digest(contract)


def test_a_contract_is_loaded_from_a_file(tmp_path: Path, small_yaml: str) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(small_yaml, encoding="utf-8")

    assert load_contract(path).family == "small-things"


def test_columns_travel_exactly_and_are_decoded_strictly(small_yaml: str) -> None:
    contract = parse_contract(small_yaml, source="small.yaml")
    kind = columns_type(contract)
    sent = {"price": [Decimal("0.10"), Decimal("12345678901234.56")], "day": [date(2020, 1, 2)] * 2}

    received = msgspec.json.decode(msgspec.json.encode(sent), type=kind)

    assert msgspec.structs.asdict(received) == sent
    unfit: list[dict[str, object]] = [
        {"price": []},
        {**sent, "owner": []},
        {**sent, "price": [None, None]},
    ]
    for wrong in unfit:
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(msgspec.json.encode(wrong), type=kind)


def test_a_row_has_a_schema_by_canonical_names_without_the_label(contract: Contract) -> None:
    schema = msgspec.json.schema_components([row_type(contract)])[1]

    (row,) = schema.values()
    assert contract.label.name not in row["properties"]
    assert set(row["required"]) == {column.name for column in contract.columns if column.required}
