"""What the registry holds: models, their versions, and the three files that a version is."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

MODEL_FILE = "model.lgb"
ENCODERS_FILE = "encoders.json"
CONTRACT_FILE = "contract.yaml"


class Alias(StrEnum):
    """The aliases that mean something to the system; a registry may hold others beside them."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


class Tag(StrEnum):
    """The tags of a version.

    Training writes the first group on every version; loading relies on ``DIGEST`` and
    ``CONTRACT``. Of the second, each is a figure or a verdict for people and for ``compare``. The
    third is the history of promotion.
    """

    DIGEST = "carimbo.digest"
    CONTRACT = "carimbo.contract"
    FAMILY = "carimbo.family"

    DATA = "carimbo.data"
    CODE = "carimbo.code"
    RUN = "carimbo.run"
    MACRO_F1 = "carimbo.macro-f1"
    MAJORITY = "carimbo.majority"
    VERDICT = "carimbo.verdict"

    PROMOTED_AT = "carimbo.promoted-at"
    PROMOTED_BECAUSE = "carimbo.promoted-because"
    REPLACED = "carimbo.replaced"
    ROLLED_BACK_AT = "carimbo.rolled-back-at"
    ROLLED_BACK_BECAUSE = "carimbo.rolled-back-because"


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One trained version of a model.

    ``model_id`` is MLflow's name for its folder of files, ``run_id`` for the run that logged its
    figures; ``created_ms`` is the registry's time of registration, in milliseconds since 1970.
    """

    model: str
    version: str
    model_id: str
    tags: dict[str, str] = {}
    run_id: str = ""
    created_ms: int = 0


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model, where its aliases point, its tags, and its versions, newest first."""

    name: str
    description: str = ""
    aliases: dict[str, str] = {}
    tags: dict[str, str] = {}
    versions: list[ModelVersion] = []


class ModelFiles(msgspec.Struct, frozen=True, kw_only=True):
    """A version's files as they were trained: their digest has been checked."""

    version: ModelVersion
    model: bytes
    encoders: bytes
    contract: bytes


def files_digest(*, model: bytes, encoders: bytes, contract: bytes) -> str:
    """SHA-256 in hexadecimal over the three files, each with its name and its length."""
    whole = hashlib.sha256()
    named = ((MODEL_FILE, model), (ENCODERS_FILE, encoders), (CONTRACT_FILE, contract))
    for name, content in named:
        whole.update(f"{name}\0{len(content)}\0".encode())
        whole.update(content)
    return whole.hexdigest()
