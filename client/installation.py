"""Which queues and objects a command means: those of the AWS variables, or the local system's."""

from __future__ import annotations

from dataclasses import dataclass

from client.errors import CommandError
from client.local.running import find_running
from client.settings import bucket, names_aws, point_at_local_engine, queue_prefix, state_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One system's name space. ``where`` tells a person which."""

    queue_prefix: str
    bucket: str
    where: str


def find_installation() -> Installation:
    """An AWS variable that points anywhere decides; without one, the local system that runs.

    Raises:
        CommandError: there is neither.
    """
    if names_aws():
        return Installation(
            queue_prefix=queue_prefix(), bucket=bucket(), where="where the AWS_ variables point"
        )
    try:
        running = find_running(state_folder())
    except CommandError as error:
        raise CommandError(f"{error} Or set the AWS_ variables of another system.") from error
    if not running.engine:
        raise CommandError("The local system that runs is of an older release: start it anew.")
    point_at_local_engine(running.engine)
    # The local system's processes never see the caller's own CARIMBO_ variables.
    return Installation(
        queue_prefix=queue_prefix({}), bucket=bucket({}), where=f"the local engine {running.engine}"
    )
