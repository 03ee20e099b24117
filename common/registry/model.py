"""What the registry holds: models, their versions, and the three files that a version is."""

from __future__ import annotations

import hashlib
from enum import StrEnum

import msgspec

MODEL_FILE = "model.lgb"
ENCODERS_FILE = "encoders.json"
CONTRACT_FILE = "contract.yaml"


class Tag(StrEnum):
    """The tags that training writes on every version and that loading relies on."""

    DIGEST = "carimbo.digest"
    CONTRACT = "carimbo.contract"
    FAMILY = "carimbo.family"


class ModelVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One trained version of a model. ``model_id`` is MLflow's name for its folder of files."""

    model: str
    version: str
    model_id: str
    tags: dict[str, str] = {}


class RegisteredModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model, where its aliases point, and its versions, newest first."""

    name: str
    description: str = ""
    aliases: dict[str, str] = {}
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
