"""What can be asked for: models, aliases, and versions with the contract of each.

The contract is the one that the version was trained under, read back from the registry. A version
never changes once registered, so that is read once; only names and aliases are looked at again.
While the registry is away, the last catalogue stays in use.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

import structlog

from common.contracts import Contract, contract_digest, parse_contract
from common.errors import PermanentError
from common.registry import Alias, ModelVersion, RegisteredModel, Registry, Tag
from common.registry.routing import Canary, RoutingTag, Shadow, read_routing
from producer.problems import UnknownError

DEFAULT_ALIAS = Alias.CHAMPION.value

_log = structlog.get_logger("producer.catalogue")


@dataclass(frozen=True, slots=True)
class Served:
    """One version and the contract that its files are read under."""

    model: str
    version: str
    contract: Contract
    digest: str


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A model's versions by number, and the version that each alias means now.

    ``canary`` and ``shadow`` are in ``versions``, and neither is the champion.
    """

    name: str
    aliases: Mapping[str, str]
    versions: Mapping[str, Served]
    canary: Canary | None = None
    shadow: Shadow | None = None


@dataclass(frozen=True, slots=True)
class Selector:
    """Which version of a model is asked for: exactly one of the two is set.

    ``is_default`` says that the client named neither, so that a canary may be meant.
    """

    alias: str | None = None
    version: str | None = None
    is_default: bool = False


def read_selector(*, version: str | None, alias: str | None) -> Selector:
    """What the query asks for; ``DEFAULT_ALIAS`` when it does not say.

    Raises:
        PermanentError: ``conflicting-selector``, when both are given.
    """
    if version is not None and alias is not None:
        raise PermanentError(
            "conflicting-selector",
            "The query names both a version and an alias; send one of them, or neither for "
            f"the alias {DEFAULT_ALIAS!r}.",
        )
    if version is not None:
        return Selector(version=version)
    if alias is not None:
        return Selector(alias=alias)
    return Selector(alias=DEFAULT_ALIAS, is_default=True)


def find(models: Mapping[str, CatalogueModel], name: str, selector: Selector) -> Served:
    """The version that ``selector`` means.

    Raises:
        UnknownError: the model, the alias or the version does not exist; it lists what does.
    """
    model = models.get(name)
    if model is None:
        _refuse("unknown-model", "model", name, models)
    number = selector.version
    if selector.alias is not None:
        number = model.aliases.get(selector.alias)
        if number is None:
            _refuse("unknown-alias", f"alias of model {name!r}", selector.alias, model.aliases)
    served = model.versions.get(number or "")
    if served is None:
        _refuse("unknown-version", f"version of model {name!r}", number or "", model.versions)
    return served


def _refuse(code: str, what: str, found: str, known: Mapping[str, object]) -> NoReturn:
    names = sorted(known)
    raise UnknownError(
        code,
        f"There is no {what} named {found!r}; these exist: {', '.join(names) or 'none yet'}.",
        known=names,
    )


def _is(champion: str | None, routed: Canary | Shadow | None) -> bool:
    """Whether what had a share, or looked on, labels every file by now."""
    return routed is not None and routed.version == champion


@dataclass(slots=True)
class Catalogue:
    """Follows the registry. ``models`` is replaced whole, never changed in place."""

    registry: Registry
    refreshed: Callable[[], None] = lambda: None
    tag_ignored: Callable[[str, str], None] = lambda _model, _tag: None
    models: Mapping[str, CatalogueModel] = field(default_factory=dict)
    loaded: bool = False
    _versions: dict[tuple[str, str], Served] = field(default_factory=dict)
    _contracts: dict[str, Contract] = field(default_factory=dict)
    _refused: set[tuple[str, str]] = field(default_factory=set)
    _ignored: dict[tuple[str, str], str] = field(default_factory=dict)

    async def refresh(self) -> None:
        """Look at the registry once.

        Raises:
            TransientError: the registry did not answer; what was known is kept.
        """
        models = {model.name: await self._read(model) for model in await self.registry.models()}
        self.models = models
        self.loaded = True
        self.refreshed()

    async def _read(self, model: RegisteredModel) -> CatalogueModel:
        versions = {}
        for version in model.versions:
            served = await self._served(version)
            if served is not None:
                versions[served.version] = served
        routing = read_routing(model.tags)
        faults = dict(routing.faults)
        canary, shadow = routing.canary, routing.shadow
        if canary is not None and canary.version not in versions:
            faults[RoutingTag.CANARY] = f"there is no usable version {canary.version!r}"
        if shadow is not None and shadow.version not in versions:
            faults[RoutingTag.SHADOW] = f"there is no usable version {shadow.version!r}"
        self._complain(model, faults)
        champion = model.aliases.get(Alias.CHAMPION)
        return CatalogueModel(
            model.name,
            dict(model.aliases),
            versions,
            canary=None if RoutingTag.CANARY in faults or _is(champion, canary) else canary,
            shadow=None if RoutingTag.SHADOW in faults or _is(champion, shadow) else shadow,
        )

    def _complain(self, model: RegisteredModel, faults: Mapping[str, str]) -> None:
        """Say once of each tag that it is ignored, and again when it is another fault."""
        for tag in RoutingTag:
            reason = faults.get(tag)
            if reason is None:
                self._ignored.pop((model.name, tag), None)
            elif self._ignored.get((model.name, tag)) != reason:
                self._ignored[model.name, tag] = reason
                _log.warning("routing tag ignored", model=model.name, tag=tag.value, reason=reason)
                self.tag_ignored(model.name, tag.value)

    async def _served(self, version: ModelVersion) -> Served | None:
        """The version with its contract; None when it has none that can be used, logged once."""
        key = (version.model, version.version)
        served = self._versions.get(key)
        if served is not None or key in self._refused:
            return served
        try:
            contract, digest = await self._contract(version)
        except PermanentError as error:
            self._refused.add(key)
            _log.warning(
                "model version left out: its contract cannot be used",
                model=version.model,
                version=version.version,
                code=error.code,
            )
            return None
        served = self._versions[key] = Served(*key, contract, digest)
        return served

    async def _contract(self, version: ModelVersion) -> tuple[Contract, str]:
        """Versions that were trained under the same contract share one parsed copy of it."""
        text = await self.registry.contract(version)
        contract = await asyncio.to_thread(
            parse_contract, text, source=f"{version.model} version {version.version}"
        )
        digest = contract_digest(contract)
        if version.tags.get(Tag.CONTRACT) != digest:
            raise PermanentError(
                "digest-mismatch",
                f"The contract of {version.model!r} version {version.version} is not the one that "
                "it was registered with; train and register it again.",
            )
        return self._contracts.setdefault(digest, contract), digest
