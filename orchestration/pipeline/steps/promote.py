"""Lets the champion's alias move, if the gate said so and the run may."""

from __future__ import annotations

import asyncio

import msgspec

from common.errors import PermanentError
from common.registry import Alias, Registry
from common.registry.promotion import promote
from orchestration.pipeline.folder import RunFolder
from orchestration.pipeline.outcome import Outcome
from orchestration.pipeline.steps.evaluate import Evaluated
from orchestration.pipeline.steps.gate import Gated
from orchestration.pipeline.steps.register import Registered
from orchestration.settings import Settings


class Promoted(msgspec.Struct, frozen=True, kw_only=True):
    """``promoted`` is whether the version serves now; ``replaced`` served before."""

    promoted: bool
    version: str | None
    replaced: str | None
    reason: str


def run(folder: RunFolder) -> Outcome:
    """Move the alias or leave it, and say why.

    Raises:
        PermanentError: code "champion-moved" when another version was promoted meanwhile.
        TransientError: the registry is away; the step may be run again.
    """
    gated = folder.summary("gate", Gated)
    version = folder.summary("register", Registered).version
    if version is None or not folder.spec.promote:
        reason = "the run registers nothing" if version is None else "the run may not promote"
        return _kept(version, f"{reason}; the gate: {gated.reason}")
    if not gated.promote:
        return _kept(version, gated.reason)
    before = folder.summary("evaluate", Evaluated).champion_version
    return asyncio.run(_promote(folder.spec.family, version, before, gated.reason))


async def _promote(family: str, version: str, before: str | None, reason: str) -> Outcome:
    async with Registry(Settings().mlflow_tracking_uri) as registry:
        champion = (await registry.model(family)).aliases.get(Alias.CHAMPION)
        if champion not in (before, version):
            raise PermanentError(
                "champion-moved",
                f"Version {version} of {family} was judged against version {before}, but version "
                f"{champion} serves now. Begin another run.",
            )
        done = await promote(registry, family, version, reason=reason)
    return Outcome(
        Promoted(promoted=True, version=version, replaced=done.replaced, reason=reason), []
    )


def _kept(version: str | None, reason: str) -> Outcome:
    return Outcome(Promoted(promoted=False, version=version, replaced=None, reason=reason), [])
