"""Tells whoever listens that a family has another champion: an asset event with its version."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.exceptions import AirflowSkipException

PROMOTE = "promote"
TOLD = ("version", "replaced", "reason", "run_id")


class Announce(BaseOperator):
    """Emits the event; is skipped where the champion stays, and then nobody is told."""

    def __init__(self, *, champion: Asset, **kwargs: Any) -> None:
        super().__init__(outlets=[champion], **kwargs)
        self.champion = champion

    def execute(self, context: Context) -> None:
        """Hand on what ``promote`` found."""
        found: dict[str, Any] = context["ti"].xcom_pull(task_ids=PROMOTE)
        if not found["promoted"]:
            raise AirflowSkipException(f"The champion stays: {found['reason']}")
        context["outlet_events"][self.champion].extra = {name: found[name] for name in TOLD}


def champion_asset(family: str) -> Asset:
    """What a DAG is scheduled on to run after each change of the family's champion."""
    return Asset(name=f"champion-{family}", uri=f"carimbo://{family}/champion", group="model")
