"""``python -m callbacks``: one deliverer of callbacks, until SIGTERM."""

from __future__ import annotations

import sys

from callbacks.service import run

if __name__ == "__main__":
    sys.exit(run())
