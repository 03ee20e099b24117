"""``python -m consumer``: one worker, until SIGTERM."""

from __future__ import annotations

import sys

from consumer.lean import leave_out_optional_libraries


def main() -> int:
    """Run a worker; the exit status is 0 after a stop that was asked for."""
    leave_out_optional_libraries()
    from consumer.service import run  # noqa: PLC0415 - what it imports depends on the line above

    return run()


if __name__ == "__main__":
    sys.exit(main())
