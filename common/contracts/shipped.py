"""The contracts that come with the distribution, and those that somebody keeps in a folder."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path

from common.contracts.contract import Contract
from common.contracts.parse import load_contract, parse_contract
from common.errors import PermanentError


@cache
def shipped_contracts() -> dict[str, Contract]:
    """Every contract in this package, by family. Callers share the dict: do not change it."""
    found: dict[str, Contract] = {}
    for entry in sorted(files(__package__).iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            contract = parse_contract(entry.read_text("utf-8"), source=entry.name)
            found[contract.family] = contract
    return found


def known_contracts(folder: Path | None = None) -> dict[str, Contract]:
    """The shipped contracts and every ``*.yaml`` directly in ``folder``, by family, sorted.

    A contract in the folder takes the place of a shipped one of the same family: whoever wants to
    change one copies it there.

    Raises:
        PermanentError: "no-contracts" when the folder does not exist or holds no contract,
            "broken-contract" when one cannot be used, "two-contracts" when two are of one family.
    """
    if folder is None:
        return shipped_contracts()
    paths = sorted(folder.glob("*.yaml")) if folder.is_dir() else []
    if not paths:
        raise PermanentError(
            "no-contracts",
            f"{folder} holds no *.yaml. Name a folder of contracts, or none: those that ship are "
            "known anyway.",
        )
    own: dict[str, Contract] = {}
    for path in paths:
        contract = load_contract(path)
        if contract.family in own:
            raise PermanentError(
                "two-contracts",
                f"{folder} holds two contracts of {contract.family}; one of them is {path.name}.",
            )
        own[contract.family] = contract
    return dict(sorted((shipped_contracts() | own).items()))
