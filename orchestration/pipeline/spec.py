"""What a run is asked to do: everything that the steps need to know, in one small file."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec

from common.errors import PermanentError
from orchestration.hyperparameters import DEFAULT, Hyperparameters

Name = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{0,39}$")]
VARIANTS_AT_MOST = 20


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that nobody knows is a spelling mistake."""


class Window(_Strict, frozen=True, kw_only=True):
    """The days whose rows are used, both ends included; None leaves an end open."""

    start: date | None = None
    end: date | None = None


class Variant(_Strict, frozen=True, kw_only=True):
    """Settings of a training under a name; those that are not given are the defaults."""

    name: Name = "default"
    settings: Hyperparameters = DEFAULT


NAMED = {
    variant.name: variant
    for variant in (
        Variant(),
        Variant(name="longer", settings=Hyperparameters(rounds=50, learning_rate=0.05)),
        Variant(name="deeper", settings=Hyperparameters(leaves=15, leaf_rows=10)),
        Variant(name="accuracy", settings=Hyperparameters(balance=0.0)),
        Variant(name="every-label", settings=Hyperparameters(balance=1.0)),
    )
}
"""Variants that a person may ask for by name."""


class RunSpec(_Strict, frozen=True, kw_only=True):
    """What one run trains on and what becomes of it.

    ``data`` and ``feedback`` are folders or ``s3://bucket/prefix``. With ``register``, the best
    variant becomes a version of the registered model, and the champion as well with ``promote`` and
    the gate's leave. Without, ``track`` still logs it to MLflow as an experiment; without either,
    MLflow is not asked at all, not even for the champion to compare with. ``holdout_from`` fixes
    the first day that is held out of a family that is split by time; None finds one. ``seed`` is
    the training's and the bootstrap's: what is held out does not depend on it.
    """

    family: str
    data: str
    window: Window = Window()
    variants: Annotated[
        tuple[Variant, ...], msgspec.Meta(min_length=1, max_length=VARIANTS_AT_MOST)
    ] = (Variant(),)
    promote: bool = True
    register: bool = True
    track: bool = True
    seed: int = DEFAULT.seed
    feedback: str | None = None
    holdout_from: date | None = None

    @property
    def uses_registry(self) -> bool:
        """Whether MLflow takes part."""
        return self.register or self.track


def read_spec(text: str) -> RunSpec:
    """Read a specification's JSON.

    Raises:
        PermanentError: code "bad-spec", with the field and the reason.
    """
    try:
        return msgspec.json.decode(text, type=RunSpec)
    except msgspec.DecodeError as error:
        raise PermanentError(
            "bad-spec", f"The specification of the run cannot be read: {error}."
        ) from error
