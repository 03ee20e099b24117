"""What the environment says to training."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read once, at the start of a command."""

    model_config = SettingsConfigDict(frozen=True)

    mlflow_tracking_uri: str = Field(
        default="http://127.0.0.1:5000",
        description="The MLflow server; its default port on this machine unless set.",
    )
