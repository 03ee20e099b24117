"""The tasks of this machine: a piece of work in Airflow's own process, or in one of its own.

Every kind tells Airflow the same two things: a permanent error fails the task at once, with its
reason; anything else is tried again while attempts are left.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from common.errors import PermanentError, TransientError
from orchestration.airflow.plan import Plan
from orchestration.airflow.work import Summary, Work, arguments, perform

PERMANENT_EXIT_CODES = (1, 2)
"""What ``python -m orchestration`` ends with when trying again cannot help."""


class InProcess(BaseOperator):
    """Calls the step: the least isolation, for tests and for whoever debugs a step."""

    template_fields = ("variant",)

    def __init__(self, *, plan: Plan, variant: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.variant = variant

    def execute(self, context: Context) -> Summary:
        """Do it here; Airflow keeps the summary."""
        with told_to_airflow():
            return perform(self.plan.work(context, self.variant))


class ExternalPython(BaseOperator):
    """Runs the step's command with ``python``, an interpreter that needs no Airflow."""

    template_fields = ("variant",)

    def __init__(
        self, *, plan: Plan, python: str, variant: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.python = python
        self.variant = variant

    def execute(self, context: Context) -> Summary:
        """Run it and wait; what it says goes to the task's log."""
        with told_to_airflow():
            work = self.plan.work(context, self.variant)
        return run_command([self.python, "-m", "orchestration"], work)


@contextmanager
def told_to_airflow() -> Iterator[None]:
    """Turn the two kinds of error into Airflow's."""
    try:
        yield
    except PermanentError as error:
        raise AirflowFailException(f"{error.code}: {error.message}") from error
    except TransientError as error:
        raise AirflowException(f"{error.code}: {error.message}") from error


def run_command(command: Sequence[str], work: Work) -> Summary:
    """Do ``work`` by its command, whose last line is the summary.

    The command stays in the task's process group: whatever ends the task ends both.
    """
    finished = subprocess.run(  # noqa: S603 - our own command, no shell
        [*command, *arguments(work)], stdout=subprocess.PIPE, check=False
    )
    judge(finished.returncode)
    summary: Summary = msgspec.json.decode(finished.stdout.splitlines()[-1])
    return summary


def judge(exit_code: int) -> None:
    """Tell Airflow what a command's exit code means.

    Raises:
        AirflowFailException: trying again cannot help.
        AirflowException: it may: the command said so, or something ended it from outside.
    """
    if exit_code in PERMANENT_EXIT_CODES:
        raise AirflowFailException(
            f"The step cannot be done (exit code {exit_code}); its own words above say why. Put it "
            "right, then start another run."
        )
    if exit_code:
        how = f"signal {-exit_code}" if exit_code < 0 else f"exit code {exit_code}"
        raise AirflowException(f"The step did not end well ({how}); its own words above say more.")
