"""Keeps libraries from importing what they merely support.

LightGBM imports scikit-learn, pandas and others when they happen to be installed, and aiobotocore
imports httpx. A worker uses none of them. Its own image does not have them; the environment of a
developer does, where they would make the start three times as long.
"""

from __future__ import annotations

import sys

UNUSED = (
    "dask",
    "graphviz",
    "httpx",
    "matplotlib",
    "pandas",
    "pyarrow",
    "sklearn",
)


def leave_out_optional_libraries() -> None:
    """Make each look absent to whoever imports it after this call, in this process."""
    for name in UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]
