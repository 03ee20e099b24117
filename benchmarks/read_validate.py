"""Rows a second of reading and validating: ours, and pandas with one pydantic model a row.

Both sides read the same bytes, check the same thirteen columns, parse decimal commas exactly and
dates by their format. Runs are interleaved; the figure is the median of five.

    python -m benchmarks.read_validate [folder of account files]
"""

from __future__ import annotations

import argparse
import io
import random
import re
import statistics
import time
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from common.contracts import shipped_contracts
from common.tables import read_table

ROUNDS = 5
FILES = 20
ROWS = 200
REPEATS = 3
FAMILY = "card-accounts"
HEADER = (
    "id;safra_abertura;cidade;estado;idade;sexo;limite_total;limite_disp;data; valor ;"
    "grupo_estabelecimento;cidade_estabelecimento;pais_estabelecimento"
)
LABELS = ("SERVIÇO", "RESTAURANTE", "VAREJO", "SUPERMERCADOS", "FARMACIAS", "SEM RAMO")
CITIES = ("SAO PAULO", "OSASCO", "CAMPINAS", "help.uber.com", "RIO DE JANEIR", "")

_DECIMAL = re.compile(r"-?\d{1,3}(\.\d{3})*(,\d+)?|-?\d+(,\d+)?")
_DASH = "-"


def account_bytes(number: int, rows: int = ROWS) -> bytes:
    """Make one account's file in the dialect of the contract; the same number, the same file."""
    source = random.Random(number)  # noqa: S311 - a benchmark's data, not a secret
    lines = [HEADER]
    for _ in range(rows):
        amount = f"{source.lognormvariate(3.5, 1.2):,.2f}"
        amount = amount.replace(",", " ").replace(".", ",").replace(" ", ".")
        lines.append(
            f"4,53E+11;201405;CAMPO LIMPO PAULISTA  ;SP ;37;F;4700;{source.randint(0, 4700)};"
            f"{source.randint(1, 28)}.{source.randint(1, 12):02d}.2019;"
            f"{amount if source.random() > 1 / ROWS else ' -   '};"
            f"{source.choice(LABELS)};{source.choice(CITIES)};BR"
        )
    return ("\r\n".join(lines) + "\r\n").encode("mac_roman")


def _exact(cell: str) -> Decimal:
    if cell == _DASH:
        return Decimal(0)
    if not _DECIMAL.fullmatch(cell):
        raise ValueError("not a decimal")
    return Decimal(cell.replace(".", "").replace(",", "."))


def _day(cell: str) -> date:
    return datetime.strptime(cell, "%d.%m.%Y").date()  # noqa: DTZ007 - a day has no zone


def _month(cell: str) -> date:
    return datetime.strptime(cell, "%Y%m").date()  # noqa: DTZ007 - a month has no zone


def _none_if_blank(cell: str) -> str | None:
    return cell or None


Money = Annotated[Decimal, BeforeValidator(_exact)]
OptionalText = Annotated[str | None, BeforeValidator(_none_if_blank)]


class Row(BaseModel):
    """The thirteen columns as a pydantic model."""

    model_config = ConfigDict(str_strip_whitespace=True)

    id: str
    safra_abertura: Annotated[date, BeforeValidator(_month)]
    cidade: str
    estado: str
    idade: Annotated[int, Field(ge=0, le=130)]
    sexo: str
    limite_total: Annotated[Money, Field(ge=0)]
    limite_disp: Money
    data: Annotated[date, BeforeValidator(_day)]
    valor: Money
    grupo_estabelecimento: str
    cidade_estabelecimento: OptionalText
    pais_estabelecimento: OptionalText


def read_with_pydantic(content: bytes) -> int:
    """Read a file the usual way: pandas for the text, one model a row for the types."""
    frame = pd.read_csv(
        io.BytesIO(content), sep=";", encoding="mac_roman", dtype=str, keep_default_na=False
    )
    frame.columns = frame.columns.str.strip()
    for name in frame.columns:
        frame[name] = frame[name].str.strip()
    return len([Row.model_validate(record) for record in frame.to_dict("records")])


def read_with_contract(content: bytes) -> int:
    """Read a file our way."""
    table = read_table(content, shipped_contracts()[FAMILY])
    return len(table.lines)


def rows_per_second(read: Callable[[bytes], int], contents: list[bytes]) -> float:
    """Measure one pass over every file."""
    started = time.perf_counter()
    rows = sum(read(content) for content in contents for _ in range(REPEATS))
    return rows / (time.perf_counter() - started)


def compare(title: str, contents: list[bytes]) -> None:
    """Print both sides' medians over interleaved rounds, and their ratio."""
    sides = (read_with_contract, read_with_pydantic)
    for side in sides:
        side(contents[0])
    measured: dict[str, list[float]] = {side.__name__: [] for side in sides}
    for _ in range(ROUNDS):
        for side in sides:
            measured[side.__name__].append(rows_per_second(side, contents))
    ours, theirs = (statistics.median(measured[side.__name__]) for side in sides)
    size = sum(content.count(b"\n") - 1 for content in contents) / len(contents)
    print(
        f"{title}: {len(contents)} files of {size:.0f} rows: carimbo {ours:,.0f} rows/s, "
        f"pandas + pydantic {theirs:,.0f} rows/s, ratio {ours / theirs:.1f}"
    )


def main() -> None:
    """Compare on generated files, and on real ones where a folder is given."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="account files in CSV")
    folder = parser.parse_args().folder
    compare("generated", [account_bytes(number) for number in range(FILES)])
    if folder is not None:
        contents = [path.read_bytes() for path in sorted(folder.glob("*.csv"))]
        if not contents:
            parser.error(f"no .csv file in {folder}")
        compare("real", contents)


if __name__ == "__main__":
    main()
