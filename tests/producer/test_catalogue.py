from __future__ import annotations

import pytest

from common.contracts import contract_digest
from common.errors import PermanentError
from producer.catalogue import CatalogueModel, Selector, Served, find, read_selector
from producer.models import summarise
from producer.problems import UnknownError
from tests.producer.parts import parcels_contract

CONTRACT = parcels_contract()


def served(version: str) -> Served:
    return Served("parcels", version, CONTRACT, contract_digest(CONTRACT))


MODELS = {
    "parcels": CatalogueModel(
        "parcels",
        {"champion": "9", "challenger": "10", "broken": "11"},
        {"9": served("9"), "10": served("10")},
    ),
    "untrained": CatalogueModel("untrained", {}, {}),
}


def test_without_a_word_the_champion_is_meant() -> None:
    assert find(MODELS, "parcels", read_selector(version=None, alias=None)).version == "9"


def test_an_alias_or_an_exact_version_is_found() -> None:
    assert find(MODELS, "parcels", read_selector(version=None, alias="challenger")).version == "10"
    assert find(MODELS, "parcels", read_selector(version="10", alias=None)).version == "10"


def test_both_at_once_are_refused() -> None:
    with pytest.raises(PermanentError) as caught:
        read_selector(version="1", alias="champion")
    assert caught.value.code == "conflicting-selector"


@pytest.mark.parametrize(
    ("name", "selector", "code", "known"),
    [
        ("letters", Selector(alias="champion"), "unknown-model", ["parcels", "untrained"]),
        ("parcels", Selector(alias="x"), "unknown-alias", ["broken", "challenger", "champion"]),
        ("parcels", Selector(version="1"), "unknown-version", ["10", "9"]),
        ("parcels", Selector(alias="broken"), "unknown-version", ["10", "9"]),
        ("parcels", Selector(version=""), "unknown-version", ["10", "9"]),
        ("untrained", Selector(alias="champion"), "unknown-alias", []),
    ],
)
def test_what_does_not_exist_is_told_with_what_does(
    name: str, selector: Selector, code: str, known: list[str]
) -> None:
    with pytest.raises(UnknownError) as caught:
        find(MODELS, name, selector)
    assert (caught.value.code, caught.value.known) == (code, known)


def test_versions_are_listed_from_the_newest_by_number_not_by_spelling() -> None:
    parcels = next(model for model in summarise(MODELS).models if model.name == "parcels")
    assert [version.version for version in parcels.versions] == ["10", "9"]


def test_ignored_columns_are_not_listed_but_personal_ones_are_by_name() -> None:
    (version, _) = summarise(MODELS).models[0].versions
    assert {column.name: column.role for column in version.contract.columns}[
        "recipient"
    ] == "personal"
