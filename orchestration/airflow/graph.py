"""The graph that every DAG has: the pipeline's steps in their order, ``train`` once a variant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, chain, task
from airflow.sdk.definitions.mappedoperator import MappedOperator

from orchestration.airflow.announcement import Announce, champion_asset
from orchestration.airflow.form import form
from orchestration.airflow.isolation import Kind, kind_of_task
from orchestration.airflow.plan import BEGIN, DISCARD, Plan
from orchestration.airflow.settings import DagSettings
from orchestration.pipeline import STEPS
from orchestration.pipeline.run import TRAIN

SCHEDULED_FROM = datetime(2026, 1, 1, tzinfo=UTC)
EXPERIMENTS_AT_ONCE = 2
EVERY_TASK: dict[str, Any] = {
    "retries": 2,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
    "execution_timeout": timedelta(hours=2),
}


def retrain(family: str, settings: DagSettings) -> DAG:
    """Train ``family`` and let the gate decide; one run at a time, for there is one champion."""
    with DAG(
        f"retrain-{family}",
        description=f"Train {family}, judge it beside the champion, promote it if it is better.",
        schedule=settings.retrain_schedule,
        start_date=SCHEDULED_FROM,
        catchup=False,
        max_active_runs=1,
        params=form([family], settings, is_experiment=False),
        default_args=EVERY_TASK,
        tags=["carimbo", family],
    ) as dag:
        announce = Announce(task_id="announce", champion=champion_asset(family))
        _pipeline(kind_of_task(settings), is_experiment=False) >> announce
    return dag


def experiment(families: Sequence[str], settings: DagSettings) -> DAG:
    """The same steps for a look: logged to MLflow's tracking, with nothing registered."""
    with DAG(
        "experiment",
        description="Train and judge variants of any contract; registers and promotes nothing.",
        schedule=None,
        start_date=SCHEDULED_FROM,
        catchup=False,
        max_active_runs=EXPERIMENTS_AT_ONCE,
        params=form(families, settings, is_experiment=True),
        default_args=EVERY_TASK,
        tags=["carimbo", "experiment"],
    ) as dag:
        _pipeline(kind_of_task(settings), is_experiment=True)
    return dag


@task
def variants(begun: Any) -> list[str]:
    """Hand on the names that ``train`` is done for: Airflow maps over whole results only."""
    names: list[str] = begun["variants"]
    return names


def _pipeline(kind: Kind, *, is_experiment: bool) -> BaseOperator | MappedOperator:
    """Chain the steps between ``begin`` and the teardown; the last of them comes back."""
    begin = kind.task(Plan(step=BEGIN, is_experiment=is_experiment))
    names = variants(begin.output)
    plans = [Plan(step=step) for step in STEPS]
    steps = [kind.mapped(p, names) if p.step == TRAIN else kind.task(p) for p in plans]
    chain(begin, *steps, kind.task(Plan(step=DISCARD)).as_teardown(setups=begin))
    return steps[-1]
