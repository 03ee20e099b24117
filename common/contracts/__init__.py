"""Contracts: what a family's files look like and what a model makes of them, one YAML a family.

Everything that must agree about a family follows from here: the reader's vocabulary, the typed
rows, the columns that travel, the recipe of the features.
"""

from common.contracts.columns import Column, ColumnType, Role
from common.contracts.contract import Contract, Split, contract_digest, recipe_columns
from common.contracts.document import BrokenContract
from common.contracts.headings import heading_key
from common.contracts.parse import load_contract, parse_contract
from common.contracts.shipped import known_contracts, shipped_contracts
from common.contracts.structs import columns_type, row_type

__all__ = [
    "BrokenContract",
    "Column",
    "ColumnType",
    "Contract",
    "Role",
    "Split",
    "columns_type",
    "contract_digest",
    "heading_key",
    "known_contracts",
    "load_contract",
    "parse_contract",
    "recipe_columns",
    "row_type",
    "shipped_contracts",
]
