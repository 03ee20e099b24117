"""The route that says what can be asked for, and what each version's files must look like."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from litestar import get

from common.contracts import Column, Contract, Role
from producer.catalogue import CatalogueModel, Served
from producer.parts import AnyRequest, parts_of

FORMATS = ("text/csv", "application/json", "application/x-ndjson")
"""Any delimited text counts as text/csv; each of them may be packed with gzip."""


class ColumnSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a model's files: any of its ``aliases`` may stand in the header."""

    name: str
    type: str
    role: str
    required: bool
    nullable: bool
    aliases: list[str]
    description: str


class ContractSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of a version look like. ``digest`` is the SHA-256 of the contract."""

    family: str
    title: str
    description: str
    digest: str
    formats: list[str]
    columns: list[ColumnSummary]


class VersionSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One version that can be asked for, and the aliases that mean it now."""

    version: str
    aliases: list[str]
    contract: ContractSummary


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One model; ``aliases`` maps each alias to the version it means now."""

    name: str
    aliases: dict[str, str]
    versions: list[VersionSummary]


class ModelList(msgspec.Struct, frozen=True, kw_only=True):
    """Every model that the registry holds."""

    models: list[ModelSummary]


@get("/v1/models", operation_id="listModels", summary="List the models", tags=["models"])
async def list_models(request: AnyRequest) -> ModelList:
    """List models, aliases and versions, each version with what its files must look like."""
    return summarise(parts_of(request).catalogue.models)


def summarise(models: Mapping[str, CatalogueModel]) -> ModelList:
    """The catalogue as clients see it: models by name, versions from the newest."""
    return ModelList(models=[_model(models[name]) for name in sorted(models)])


def _model(model: CatalogueModel) -> ModelSummary:
    newest_first = sorted(model.versions.values(), key=_version_order, reverse=True)
    return ModelSummary(
        name=model.name,
        aliases=dict(model.aliases),
        versions=[
            VersionSummary(
                version=served.version,
                aliases=sorted(
                    a for a, number in model.aliases.items() if number == served.version
                ),
                contract=_contract(served.contract, served.digest),
            )
            for served in newest_first
        ],
    )


def _version_order(served: Served) -> tuple[int, str]:
    """Registries count versions, but nothing here breaks if one names them."""
    number = served.version
    return (int(number) if number.isascii() and number.isdigit() else 0, number)


def _contract(contract: Contract, digest: str) -> ContractSummary:
    return ContractSummary(
        family=contract.family,
        title=contract.title,
        description=contract.description,
        digest=digest,
        formats=list(FORMATS),
        columns=[_column(column) for column in contract.columns if column.role is not Role.IGNORED],
    )


def _column(column: Column) -> ColumnSummary:
    return ColumnSummary(
        name=column.name,
        type=column.type,
        role=column.role,
        required=column.required,
        nullable=column.nullable,
        aliases=list(column.aliases),
        description=column.description,
    )
