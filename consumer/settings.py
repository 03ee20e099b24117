"""A worker's settings: the only place in the service that reads the environment.

The AWS and OpenTelemetry variables are read by their own libraries, under their standard names.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.durations import Seconds
from common.sqs.limits import MESSAGE_LIMIT_BYTES, SMALLEST_MESSAGE_LIMIT_BYTES
from common.telemetry import LogFormat

MIB = 1024 * 1024


class Settings(BaseSettings):
    """What an operator may change, with defaults that fit one machine."""

    model_config = SettingsConfigDict(env_prefix="CARIMBO_", frozen=True)

    models: Annotated[tuple[str, ...], NoDecode] = Field(
        min_length=1,
        description="Registered models to serve, separated by commas; without one, no work.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address of health and metrics. Loopback, so that nothing is exposed unasked.",
    )
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=8080, description="TCP port of health and metrics; 0 lets the system choose one."
    )
    queue_prefix: str = Field(
        default="carimbo-",
        description="What the name of every queue of this installation starts with.",
    )
    bucket: str = Field(
        default="carimbo",
        description="S3 bucket that keeps the results; made when it does not exist.",
    )
    tracking_uri: str = Field(
        default="http://127.0.0.1:5000",
        validation_alias=AliasChoices("MLFLOW_TRACKING_URI", "tracking_uri"),
        description="Where MLflow's registry answers; MLflow's own default port.",
    )
    shadow: bool = Field(
        default=False,
        description=(
            "Look on instead of serving: label the copies for each model's shadow version, and "
            "keep how its labels differ. Such workers answer nobody."
        ),
    )
    threads: int = Field(
        default=2,
        ge=1,
        description="Threads that predict. Two let a small file pass while a large one is in work.",
    )
    max_in_flight: int = Field(
        default=20,
        ge=1,
        description="Requests held at once: two full receives, one in work and one at hand.",
    )
    visibility: Seconds = Field(
        default=timedelta(seconds=10),
        ge=timedelta(seconds=2),
        description=(
            "How long a request stays hidden after its worker died: short, because somebody waits. "
            "The lease is renewed at half of it, so it bounds the repair and not the work."
        ),
    )
    max_attempts: int = Field(
        default=5,
        ge=1,
        le=100,
        description=(
            "How often a request is tried before it is buried; a worker's death counts as one."
        ),
    )
    message_limit_bytes: int = Field(
        default=MESSAGE_LIMIT_BYTES,
        ge=SMALLEST_MESSAGE_LIMIT_BYTES,
        le=MESSAGE_LIMIT_BYTES,
        description=(
            "Largest message that the queues take, in bytes with attributes: SQS's own limit, or "
            "262144 where an endpoint still has the former one. A larger reply says that the "
            "result is stored."
        ),
    )
    registry_refresh: Seconds = Field(
        default=timedelta(seconds=5),
        gt=timedelta(0),
        description="Pause between two looks at the registry: how stale an alias can be here.",
    )
    spare_versions: int = Field(
        default=4,
        ge=1,
        description="Versions that stay loaded although no alias points to them.",
    )
    spare_bytes: int = Field(
        default=256 * MIB,
        ge=0,
        description="What the files of those versions may weigh together, as downloaded.",
    )
    drain: Seconds = Field(
        default=timedelta(seconds=20),
        gt=timedelta(0),
        description=(
            "How long requests in hand may take to finish after SIGTERM (seconds); Kubernetes "
            "kills after 30."
        ),
    )
    log_level: str = Field(default="INFO", description="Lowest level of log line that is written.")
    log_format: LogFormat = Field(
        default="json", description="json for machines, console for a person's terminal."
    )

    @field_validator("models", mode="before")
    @classmethod
    def _split(cls, found: object) -> object:
        """``card-accounts, purchase-cards`` as the environment has it."""
        if isinstance(found, str):
            return tuple(name.strip() for name in found.split(",") if name.strip())
        return found
