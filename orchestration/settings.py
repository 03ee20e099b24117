"""What the environment says to training."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read once, at the start of a command or a step."""

    model_config = SettingsConfigDict(env_prefix="CARIMBO_", frozen=True)

    mlflow_tracking_uri: str = Field(
        default="http://127.0.0.1:5000",
        validation_alias=AliasChoices("MLFLOW_TRACKING_URI", "mlflow_tracking_uri"),
        description="The MLflow server; its default port on this machine unless set.",
    )
    contracts: Path | None = Field(
        default=None,
        description="Folder of further contracts, a YAML a family, beside those that ship.",
    )
