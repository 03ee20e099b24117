"""The tasks of a cluster: a piece of work in a pod of its own.

Imported only where pods are asked for: the Kubernetes client takes seconds to import.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowException

from orchestration.airflow.operators import judge, told_to_airflow
from orchestration.airflow.plan import Plan
from orchestration.airflow.work import HAND_OVER, arguments

RESULT = "/airflow/xcom/return.json"
"""Where Airflow looks for what a pod found."""


class Pod(KubernetesPodOperator):
    """Runs the step's command in a pod made from the template: its image, volume and account."""

    template_fields = (*KubernetesPodOperator.template_fields, "variant")

    def __init__(
        self, *, plan: Plan, template: str, variant: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(
            pod_template_file=template,
            cmds=["/bin/sh", "-c", HAND_OVER, RESULT],
            do_xcom_push=True,
            **kwargs,
        )
        self.plan = plan
        self.variant = variant

    def execute(self, context: Context) -> Any:
        """Start the pod with this task instance's work, and wait for it."""
        with told_to_airflow():
            self.arguments = arguments(self.plan.work(context, self.variant))
        return super().execute(context)

    def cleanup(self, pod: Any, remote_pod: Any, *args: Any, **kwargs: Any) -> None:
        """Remove the pod; when its step failed for good, say so instead of trying again."""
        try:
            super().cleanup(pod, remote_pod, *args, **kwargs)
        except AirflowException:
            judge(exit_code(remote_pod, self.base_container_name))
            raise


def exit_code(pod: Any, container: str) -> int:
    """What a container of a pod ended with; 0 when it never got so far."""
    for status in pod.status.container_statuses or []:
        if status.name == container and status.state.terminated is not None:
            code: int = status.state.terminated.exit_code
            return code
    return 0
