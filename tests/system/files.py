"""Account files made by hand in the real dialect, each telling its own number in its answer."""

from __future__ import annotations

import random

HEADER = (
    "id;safra_abertura;cidade;estado;idade;sexo;limite_total;limite_disp;data; valor ;"
    "grupo_estabelecimento;cidade_estabelecimento;pais_estabelecimento"
)
LABELS = ("SERVIÇO", "RESTAURANTE", "VAREJO", "SUPERMERCADOS", "FARMACIAS")
NUMBER_BITS = 12


def account_file(number: int, *, rows: int = 24) -> bytes:
    """A file of ``rows`` rows whose bad rows spell ``number`` in binary.

    Row ``i`` has an unreadable amount when bit ``i`` of ``number`` is set, so the lines of the
    labels, which cross both queues, belong to this file and to no other.
    """
    if rows <= NUMBER_BITS or number >= 2**NUMBER_BITS:
        raise ValueError(f"{rows} rows cannot spell {number} and keep a good one")
    source = random.Random(number)  # noqa: S311 - a test's data, not a secret
    lines = [HEADER]
    for row in range(rows):
        is_bad = row < NUMBER_BITS and number >> row & 1
        amount = "twelve" if is_bad else f"{source.randint(1, 400)},{source.randint(0, 99):02d}"
        lines.append(
            f"4,53E+11;201405;CAMPINAS             ;SP ;37;F;4700;{source.randint(0, 4700)};"
            f"{source.randint(1, 28)}.{source.randint(1, 12):02d}.2019;{amount};"
            f"{source.choice(LABELS)};CAMPINAS;BR"
        )
    return ("\r\n".join(lines) + "\r\n").encode("mac_roman")


def good_lines(number: int, *, rows: int = 24) -> list[int]:
    """The physical lines (the header is line 1) that ``account_file(number)`` gets labelled."""
    return [row + 2 for row in range(rows) if row >= NUMBER_BITS or not number >> row & 1]


def bad_lines(number: int) -> list[int]:
    """The physical lines that ``account_file(number)`` gets rejected."""
    return [row + 2 for row in range(NUMBER_BITS) if number >> row & 1]
