"""A broken contract is refused with its line and the reason."""

from __future__ import annotations

from decimal import Decimal

import pytest

from common.contracts import BrokenContract, Role, parse_contract
from common.errors import PermanentError


def test_a_contract_says_what_its_yaml_says(small_yaml: str) -> None:
    contract = parse_contract(small_yaml, source="small.yaml")

    price = contract.column("price")
    assert contract.family == "small-things"
    assert contract.label.name == "kind"
    assert contract.time is contract.column("day")
    assert contract.source_text == small_yaml
    assert price.minimum == Decimal("0.01")
    assert price.spellings == {"-": "0.50", "n/d": None}
    assert contract.column("owner").role is Role.PERSONAL


def test_a_bound_is_exact_and_never_passes_through_a_float(small_yaml: str) -> None:
    text = small_yaml.replace("minimum: 0.01", "minimum: 0.10000000000000000001")

    bound = parse_contract(text, source="small.yaml").column("price").minimum

    assert str(bound) == "0.10000000000000000001"


@pytest.mark.parametrize(
    ("before", "after", "where", "reason"),
    [
        pytest.param(
            "type: decimal",
            "type: decimel",
            "type: decimel",
            "columns[1].type: 'decimel' is not one of decimal, integer, date, category, text",
            id="unknown-type",
        ),
        pytest.param(
            "role: personal", "role: secret", "role: secret", "'secret' is not one of", id="role"
        ),
        pytest.param(
            "closed: true", "clsoed: true", "clsoed", "not a key that is known", id="unknown-key"
        ),
        pytest.param(
            "title: Small things\n", "", "family:", "the key 'title' is missing", id="missing-key"
        ),
        pytest.param(
            "family: small-things", "family: Small Things", "family", "regex", id="family-name"
        ),
        pytest.param(
            "[PREÇO, value]", "[PREÇO, dia]", "PREÇO", "'dia' already names", id="alias-twice"
        ),
        pytest.param("name: size", "name: price", "name: price", "already names", id="name-twice"),
        pytest.param(
            "column: price}", "column: cost}", "cost", "there is no column 'cost'", id="unknown"
        ),
        pytest.param(
            "number, column: price",
            "category, column: owner",
            "owner",
            "is personal",
            id="personal",
        ),
        pytest.param(
            "number, column: price", "category, column: note", "note}", "is ignored", id="ignored"
        ),
        pytest.param(
            "number, column: price", "category, column: kind", "kind}", "is label", id="label"
        ),
        pytest.param(
            "column: price}", "column: size}", "column: size}", "and 'size' is category", id="kind"
        ),
        pytest.param(
            "kind: number", "kind: nmber", "nmber", "'nmber' is not one of number", id="feature"
        ),
        pytest.param(
            "minimum: 0.01", "minimum: cheap", "cheap", "not a decimal number", id="bound"
        ),
        pytest.param(
            "minimum: 0.01", "minimum: 2000", "2000", "above the maximum 1000", id="bounds-crossed"
        ),
        pytest.param(
            "role: label", "role: feature", "columns:", "no column has the role label", id="label"
        ),
        pytest.param(
            "role: ignored", "role: label", "role: label", "one label column at most", id="labels"
        ),
        pytest.param(
            "role: time", "role: feature", "split: time", "needs a column with the role", id="time"
        ),
        pytest.param(
            "group: file", "group: owner", "group: owner", "'owner' is not 'file'", id="group"
        ),
        pytest.param(
            '["%d/%m/%Y"]', '["%d/%m/%Y", "%m/%d/%Y"]', "%m/%d", "two different dates", id="formats"
        ),
        pytest.param('["%d/%m/%Y"]', '["%d/%Q/%Y"]', "%Q", "%Q is not one of", id="directive"),
        pytest.param('["%d/%m/%Y"]', '["%d/%m"]', '"%d/%m"', "must name the year", id="yearless"),
        pytest.param("[S, M]", "[S, NO]", "[S, NO]", "put the word in quotes", id="yaml-boolean"),
        pytest.param("[S, M]", "[S, S]", "[S, S]", "'S' is listed twice", id="value-twice"),
        pytest.param("    values: [S, M]\n", "", "closed", "needs 'values'", id="closed-empty"),
        pytest.param(
            "required: true\n    nullable: false\n    minimum",
            "nullable: false\n    minimum",
            "nullable: false\n    minimum",
            "must be nullable",
            id="left-out-and-not-nullable",
        ),
        pytest.param(
            "title: Small", "family: again\ntitle: Small", "family: again", "given twice", id="key"
        ),
        pytest.param("split: time", "split: [time", "recipe", "not YAML", id="yaml-syntax"),
        pytest.param(
            "values: [maçã, pera]",
            "values: &v [maçã]\n    aliases: *v",
            "*v",
            "aliases (*name)",
            id="yaml-alias",
        ),
    ],
)
def test_a_broken_contract_is_refused_with_its_line_and_the_reason(
    small_yaml: str, before: str, after: str, where: str, reason: str
) -> None:
    broken = small_yaml.replace(before, after, 1)
    assert broken != small_yaml

    with pytest.raises(BrokenContract) as refusal:
        parse_contract(broken, source="small.yaml")

    assert isinstance(refusal.value, PermanentError)
    assert reason in str(refusal.value)
    expected = _lines_of(broken, where)
    assert refusal.value.line in expected
    assert str(refusal.value).startswith(f"small.yaml line {refusal.value.line}: ")


def _lines_of(text: str, words: str) -> set[int]:
    """Every line on which words stand; several where a name stands more than once."""
    first, *_ = words.split("\n")
    return {at for at, line in enumerate(text.split("\n"), start=1) if first in line}


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words", "a: [", "\x00", "a: &a [*a]"])
def test_what_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(BrokenContract, match="line 1"):
        parse_contract(text, source="odd.yaml")
