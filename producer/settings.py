"""The producer's settings: the only place in the service that reads the environment.

The AWS and OpenTelemetry variables are read by their own libraries, under their standard names.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common.callbacks import CallbackPolicy
from common.durations import Seconds
from common.sqs.limits import MESSAGE_LIMIT_BYTES, SMALLEST_MESSAGE_LIMIT_BYTES
from common.telemetry import LogFormat

MIB = 1024 * 1024


class Settings(BaseSettings):
    """What an operator may change, with defaults that fit one machine."""

    model_config = SettingsConfigDict(env_prefix="CARIMBO_", frozen=True)

    host: str = Field(
        default="127.0.0.1",
        description="Address to listen on. Loopback, so that nothing is exposed unasked.",
    )
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=8000, description="TCP port to listen on; 0 lets the system choose one."
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
    max_upload_bytes: int = Field(
        default=64 * MIB,
        ge=1,
        le=256 * MIB,
        description=(
            "Largest request body, in bytes as sent, and as much as a file may unpack to. Room for "
            "files of fifty megabytes; above four, a body is on disk and not in memory."
        ),
    )
    max_rows: int = Field(
        default=1_000_000,
        ge=1,
        description=(
            "Most rows of one file. Cells take far more memory than bytes: a million rows of a "
            "dozen columns take two gigabytes, in the process that reads them."
        ),
    )
    message_limit_bytes: int = Field(
        default=MESSAGE_LIMIT_BYTES,
        ge=SMALLEST_MESSAGE_LIMIT_BYTES,
        le=MESSAGE_LIMIT_BYTES,
        description=(
            "Largest message that the queues take, in bytes with attributes: SQS's own limit, or "
            "262144 where an endpoint still has the former one. The rows of a larger request go "
            "through the bucket."
        ),
    )
    claim_grace: Seconds = Field(
        default=timedelta(hours=1),
        ge=timedelta(seconds=1),
        le=timedelta(days=7),
        description=(
            "How long such rows stay once their prediction has its result: longer than a message "
            "that was delivered twice can be late."
        ),
    )
    max_in_flight: int = Field(
        default=256,
        ge=1,
        description=(
            "Prediction requests handled at once; more are told at once to come back. At a few "
            "hundred files a second, a full house still waits under one second."
        ),
    )
    default_wait: Seconds = Field(
        default=timedelta(seconds=10),
        gt=timedelta(0),
        le=timedelta(seconds=60),
        description="How long a request that does not say waits for its labels.",
    )
    max_queued: int = Field(
        default=100_000,
        ge=1,
        description=(
            "Files that may wait for a model's workers before those with Prefer: respond-async are "
            "told to come back. An hour's work for a worker that labels thirty a second."
        ),
    )
    keep_results: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=7,
        description=(
            "Days for which results, promises and idempotency keys are kept. The bucket deletes "
            "them itself; a week, so that nobody has to come back on a week-end."
        ),
    )
    callback_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description=(
            "Callback receivers that may be private or speak plain HTTP: names, addresses and "
            "networks, separated by commas. The callback service must be told the same."
        ),
    )
    registry_refresh: Seconds = Field(
        default=timedelta(seconds=5),
        gt=timedelta(0),
        description="Pause between two looks at the registry: how stale an alias can be here.",
    )
    leave_notice: Seconds = Field(
        default=timedelta(seconds=2),
        ge=timedelta(0),
        le=timedelta(seconds=300),
        description=(
            "How long a replica that got SIGTERM goes on serving while it says that it is not "
            "ready: until every balancer has noticed. Kubernetes' own take about a second."
        ),
    )
    log_level: str = Field(default="INFO", description="Lowest level of log line that is written.")
    log_format: LogFormat = Field(
        default="json", description="json for machines, console for a person's terminal."
    )

    @property
    def callback_policy(self) -> CallbackPolicy:
        """What ``callback_allow`` allows."""
        return CallbackPolicy.parse(self.callback_allow)

    @field_validator("callback_allow", mode="before")
    @classmethod
    def _split(cls, found: object) -> object:
        """``10.1.2.3, hooks.internal`` as the environment has it."""
        if isinstance(found, str):
            return tuple(entry.strip() for entry in found.split(",") if entry.strip())
        return found

    @field_validator("callback_allow")
    @classmethod
    def _check_entries(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        CallbackPolicy.parse(found)
        return found
