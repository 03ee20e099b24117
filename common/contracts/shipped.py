"""The contracts that come with the distribution."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from common.contracts.contract import Contract
from common.contracts.parse import parse_contract


@cache
def shipped_contracts() -> dict[str, Contract]:
    """Every contract in this package, by family. Callers share the dict: do not change it."""
    found: dict[str, Contract] = {}
    for entry in sorted(files(__package__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            contract = parse_contract(entry.read_text("utf-8"), source=entry.name)
            found[contract.family] = contract
    return found
