"""What a task knows when its DAG is read, and the work it makes of that when it runs."""

from __future__ import annotations

from dataclasses import dataclass

from airflow.sdk import Context

from orchestration.airflow.form import run_spec
from orchestration.airflow.settings import DagSettings
from orchestration.airflow.work import Begin, Discard, Step, Work, folder_name

BEGIN = "begin"
DISCARD = "discard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``step`` is one of the pipeline's, or ``begin`` or ``discard``."""

    step: str
    is_experiment: bool = False

    def work(self, context: Context, variant: str | None) -> Work:
        """What one task instance is to do.

        Raises:
            PermanentError: the form's values cannot be used.
        """
        if self.step == BEGIN:
            return Begin(
                root=DagSettings().runs / context["dag"].dag_id,
                run_id=folder_name(context["run_id"]),
                spec=run_spec(context["params"], is_experiment=self.is_experiment),
            )
        folder: str = context["ti"].xcom_pull(task_ids=BEGIN)["folder"]
        if self.step == DISCARD:
            return Discard(folder=folder)
        return Step(name=self.step, folder=folder, variant=variant)
