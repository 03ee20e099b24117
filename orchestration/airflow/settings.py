"""What the environment says to the DAGs. Every Airflow process must be told the same."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Isolation(StrEnum):
    """Where a step's code runs."""

    IN_PROCESS = "in-process"
    EXTERNAL_PYTHON = "external-python"
    KUBERNETES_POD = "kubernetes-pod"


class DagSettings(BaseSettings):
    """Read whenever a DAG file is."""

    model_config = SettingsConfigDict(env_prefix="CARIMBO_", frozen=True)

    tasks: Isolation = Field(
        default=Isolation.EXTERNAL_PYTHON,
        description="Where steps run. A process of its own frees all its memory when a step ends, "
        "and its end is the step's, whatever ended it.",
    )
    task_python: Path = Field(
        default=Path(sys.executable),
        description="The interpreter of external-python: one that has the orchestration extra. "
        "Airflow's own, unless Airflow lives in another environment.",
    )
    task_pod: Path | None = Field(
        default=None,
        description="The pod template of kubernetes-pod: image, service account, resources, and "
        "a volume of the runs, mounted at CARIMBO_RUNS.",
    )
    runs: Path = Field(
        default=Path(".carimbo/runs").absolute(),
        description="The folder with a folder a run, which every task must reach.",
    )
    training_data: str | None = Field(
        default=None,
        description="Where labelled files are: a folder or s3://bucket/prefix with a folder a "
        "contract in it. Unset, whoever asks for a run names the data.",
    )
    retrain_schedule: str | None = Field(
        default=None,
        description="When every contract is retrained, as cron writes it, in UTC; unset, only when "
        "somebody asks. A run that nobody asked for takes its data from CARIMBO_TRAINING_DATA.",
    )

    @model_validator(mode="after")
    def _require_data_for_a_schedule(self) -> Self:
        if self.retrain_schedule is not None and self.training_data is None:
            raise ValueError("CARIMBO_RETRAIN_SCHEDULE needs CARIMBO_TRAINING_DATA")
        return self

    def data_of(self, family: str) -> str | None:
        """Where the labelled files of ``family`` are, unless that is for the trigger to say."""
        return None if self.training_data is None else f"{self.training_data.rstrip('/')}/{family}"
