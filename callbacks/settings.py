"""The callback service's settings: the only place in the service that reads the environment.

The AWS and OpenTelemetry variables are read by their own libraries, under their standard names.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from callbacks.signing import Secret
from common.callbacks import CallbackPolicy
from common.durations import Seconds
from common.telemetry import LogFormat

_HOUR = timedelta(hours=1)
_LONGEST_PAUSE = timedelta(hours=10)
_LONGEST_SCHEDULE = timedelta(days=3)


class Settings(BaseSettings):
    """What an operator may change, with defaults that fit one machine."""

    model_config = SettingsConfigDict(
        env_prefix="CARIMBO_", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    callback_secrets: Annotated[tuple[Secret, ...], NoDecode] = Field(
        min_length=1,
        description=(
            "Secrets that sign, each whsec_ and base64 of 24 to 64 bytes, separated by commas. "
            "Every one signs, so that receivers can move from the old to the new in their time."
        ),
    )
    callback_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description=(
            "Receivers that may be private or speak plain HTTP: names, addresses and networks, "
            "separated by commas. None, so that nobody reaches our own network unasked."
        ),
    )
    callback_schedule: Annotated[tuple[Seconds, ...], NoDecode] = Field(
        default=(
            timedelta(0),
            timedelta(seconds=5),
            timedelta(minutes=5),
            timedelta(minutes=30),
            2 * _HOUR,
            5 * _HOUR,
            10 * _HOUR,
        ),
        min_length=1,
        description=(
            "Pause before each attempt (seconds, separated by commas); after the last one the "
            "callback is buried. Standard Webhooks' own schedule, as far as a message can sleep."
        ),
    )
    callback_max_in_flight: int = Field(
        default=64, ge=1, description="Callbacks held at once, those of all receivers together."
    )
    callback_per_host: int = Field(
        default=8,
        ge=1,
        description="Of these, to one host; a slow receiver takes no more of them from the others.",
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
        description="S3 bucket of the results and of the delivery log; made when it is missing.",
    )
    visibility: Seconds = Field(
        default=timedelta(seconds=30),
        ge=timedelta(seconds=2),
        description="How long a callback stays hidden after its process died (seconds).",
    )
    drain: Seconds = Field(
        default=timedelta(seconds=20),
        gt=timedelta(0),
        description=(
            "How long attempts under way may take to finish after SIGTERM (seconds); above the 15 "
            "of one attempt, below the 30 after which Kubernetes kills."
        ),
    )
    log_level: str = Field(default="INFO", description="Lowest level of log line that is written.")
    log_format: LogFormat = Field(
        default="json", description="json for machines, console for a person's terminal."
    )

    @property
    def policy(self) -> CallbackPolicy:
        """The guard's policy."""
        return CallbackPolicy.parse(self.callback_allow)

    @field_validator("callback_allow", "callback_schedule", mode="before")
    @classmethod
    def _split(cls, found: object) -> object:
        if isinstance(found, str):
            return tuple(part.strip() for part in found.split(",") if part.strip())
        return found

    @field_validator("callback_secrets", mode="before")
    @classmethod
    def _read_secrets(cls, found: object) -> object:
        if isinstance(found, str):
            return tuple(Secret.parse(part.strip()) for part in found.split(",") if part.strip())
        return found

    @field_validator("callback_allow")
    @classmethod
    def _check_allow(cls, found: tuple[str, ...]) -> tuple[str, ...]:
        CallbackPolicy.parse(found)
        return found

    @field_validator("callback_schedule")
    @classmethod
    def _check_schedule(cls, found: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
        if any(not timedelta(0) <= pause <= _LONGEST_PAUSE for pause in found):
            raise ValueError("each pause must be between 0 and 36000 s: a message sleeps 12 h")
        if sum(found, timedelta(0)) > _LONGEST_SCHEDULE:
            raise ValueError("the pauses must not exceed 3 days together: a queue keeps 4")
        return found

    @model_validator(mode="after")
    def _check_shares(self) -> Self:
        if self.callback_per_host > self.callback_max_in_flight:
            raise ValueError("callback_per_host must not exceed callback_max_in_flight")
        return self
