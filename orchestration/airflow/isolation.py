"""Which kind of task the steps are, as ``CARIMBO_TASKS`` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.xcom_arg import XComArg

from common.errors import PermanentError
from orchestration.airflow.operators import ExternalPython, InProcess
from orchestration.airflow.plan import Plan
from orchestration.airflow.settings import DagSettings, Isolation


class Kind:
    """Makes tasks of one operator, all with the same ``options``."""

    def __init__(self, operator: type[BaseOperator], options: Mapping[str, Any]) -> None:
        self._operator = operator
        self._options = options

    def task(self, plan: Plan) -> BaseOperator:
        """Make the task of what is done once."""
        return self._operator(task_id=plan.step, plan=plan, **self._options)

    def mapped(self, plan: Plan, variants: XComArg) -> MappedOperator:
        """Make the task of what is done once a variant; people see the variants' names."""
        partial = self._operator.partial(
            task_id=plan.step, plan=plan, map_index_template="{{ task.variant }}", **self._options
        )
        return partial.expand(variant=variants)


def kind_of_task(settings: DagSettings) -> Kind:
    """Choose.

    Raises:
        PermanentError: code "no-pod-template" when pods are asked for and nothing describes one.
    """
    match settings.tasks:
        case Isolation.IN_PROCESS:
            return Kind(InProcess, {})
        case Isolation.EXTERNAL_PYTHON:
            return Kind(ExternalPython, {"python": str(settings.task_python)})
        case Isolation.KUBERNETES_POD:
            if settings.task_pod is None:
                raise PermanentError(
                    "no-pod-template",
                    "CARIMBO_TASKS=kubernetes-pod needs CARIMBO_TASK_POD, the path of a pod "
                    "template: see docs/airflow.md.",
                )
            from orchestration.airflow.pod import Pod  # noqa: PLC0415 - a provider of its own

            return Kind(Pod, {"template": str(settings.task_pod)})
