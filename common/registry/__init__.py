"""The registry of trained models, over MLflow's REST interface, without importing MLflow.

Importing MLflow takes about five seconds and 100 MB; three requests need neither.
"""

from common.registry.client import Registry
from common.registry.model import (
    CONTRACT_FILE,
    ENCODERS_FILE,
    MODEL_FILE,
    Alias,
    ModelFiles,
    ModelVersion,
    RegisteredModel,
    Tag,
    files_digest,
)

__all__ = [
    "CONTRACT_FILE",
    "ENCODERS_FILE",
    "MODEL_FILE",
    "Alias",
    "ModelFiles",
    "ModelVersion",
    "RegisteredModel",
    "Registry",
    "Tag",
    "files_digest",
]
