"""Account and purchase files made by hand, in the dialects that such files come in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from common.contracts import Contract, shipped_contracts

HEADER = (
    "id;safra_abertura;cidade;estado;idade;sexo;limite_total;limite_disp;data; valor ;"
    "grupo_estabelecimento;cidade_estabelecimento;pais_estabelecimento"
)
PURCHASES = "TRANS DATE;ORIGINAL GROSS AMT;MERCHANT NAME;TRANS CAC DESC 1;Directorate"


def account_row(
    amount: str = "31",
    *,
    day: str = "4.12.2019",
    city: str = "SAO PAULO",
    age: str = "37",
    label: str = "SERVIÇO",
) -> str:
    """One row of an account, as the bank writes it."""
    return (
        f"4,53E+11;201405;CAMPINAS             ;SP ;{age};F;4700;5605;{day};{amount};{label};"
        f"{city};BR"
    )


def account_text(rows: Sequence[str], *, header: str = HEADER, end: str = "\r\n") -> str:
    """A whole account, headings first, every line ended."""
    return "".join(line + end for line in (header, *rows))


def without_label(line: str) -> str:
    """The same line with the label's cell left out: how a file to be labelled comes."""
    cells = line.split(";")
    return ";".join([*cells[:10], *cells[11:]])


@pytest.fixture
def accounts() -> Contract:
    """The contract of the card accounts."""
    return shipped_contracts()["card-accounts"]


@pytest.fixture
def purchases() -> Contract:
    """The contract of the purchase cards."""
    return shipped_contracts()["purchase-cards"]
