"""An Airflow in a process of its own, which reads the DAGs and runs them with ``dag.test()``.

Airflow sets up logging, a database and a home as it is imported: not in the process of the tests.
One process serves a whole session, for only its first run is slow.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from airflow.sdk import DAG


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Read the DAGs under ``environment``; with ``conf``, run one of them."""

    environment: dict[str, str]
    dag_id: str | None = None
    conf: dict[str, Any] | None = None


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance after its run."""

    state: str
    tries: int


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """What a DAG promises before it runs."""

    runs_at_once: int
    schedule: str
    upstream: dict[str, list[str]]
    retries: dict[str, int]
    teardowns: list[str]
    form: dict[str, dict[str, Any]]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """``events`` are the extras of the asset events that the run caused."""

    errors: dict[str, str] = {}
    graphs: dict[str, Graph] = {}
    modules: list[str] = []
    state: str = ""
    run_id: str = ""
    tasks: dict[str, Task] = {}
    results: dict[str, Any] = {}
    events: list[dict[str, Any]] = []


def main() -> None:
    """Serve orders, a line each on stdin, until it closes; outcomes go to a descriptor."""
    from airflow.utils.db import upgradedb  # noqa: PLC0415 - with AIRFLOW_HOME set

    upgradedb()
    own = dict(os.environ)
    with os.fdopen(int(sys.argv[1]), "wb", buffering=0) as answers:
        for line in sys.stdin.buffer:
            order = msgspec.json.decode(line, type=Order)
            os.environ.clear()
            os.environ.update(own | order.environment)
            answers.write(msgspec.json.encode(obey(order)) + b"\n")


def obey(order: Order) -> Outcome:
    """Read the DAGs anew, and run one if that is asked for."""
    from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415 - as above

    bag = DagBag(os.environ["AIRFLOW__CORE__DAGS_FOLDER"])
    if order.dag_id is None or bag.import_errors:
        return Outcome(
            errors=bag.import_errors,
            graphs={dag_id: _graph(dag) for dag_id, dag in bag.dags.items()},
            modules=sorted(sys.modules),
        )
    return _run(bag.dags[order.dag_id], order.conf or {})


def _graph(dag: DAG) -> Graph:
    return Graph(
        runs_at_once=dag.max_active_runs,
        schedule=str(dag.schedule or ""),
        upstream={task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
        retries={task.task_id: task.retries or 0 for task in dag.tasks},
        teardowns=[task.task_id for task in dag.tasks if task.is_teardown],
        form={name: dag.params.get_param(name).schema for name in dag.params},
    )


def _run(dag: DAG, conf: dict[str, Any]) -> Outcome:
    from airflow.models.asset import AssetEvent  # noqa: PLC0415 - as above
    from airflow.models.xcom import XComModel  # noqa: PLC0415 - as above
    from airflow.settings import Session  # noqa: PLC0415 - as above
    from sqlalchemy import select  # noqa: PLC0415 - as above

    for task in dag.tasks:
        task.retry_delay = timedelta(seconds=0.1)
        task.retry_exponential_backoff = 0
    run = dag.test(run_conf=conf)
    assert Session is not None
    with Session() as session:
        events = session.scalars(
            select(AssetEvent).where(AssetEvent.source_run_id == run.run_id)
        ).all()
        results = session.scalars(select(XComModel).where(XComModel.run_id == run.run_id)).all()
        return Outcome(
            state=str(run.state),
            run_id=run.run_id,
            tasks={
                task.task_id + (f"[{task.map_index}]" if task.map_index >= 0 else ""): Task(
                    state=str(task.state), tries=task.try_number
                )
                for task in run.get_task_instances()
            },
            results={each.task_id: each.value for each in results if each.map_index < 0},
            events=[event.extra for event in events],
        )


if __name__ == "__main__":
    main()
