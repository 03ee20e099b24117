"""The pipeline: from labelled files to a judged, registered, promoted model, a step at a time.

Each step is a plain function over a run's folder. Whatever runs them (a command, a DAG, a pod)
needs four names: ``begin`` a run, ask for its ``variants``, ``run_step`` each step in the order of
``STEPS``, and ``discard_staging`` at the end.
"""

from orchestration.pipeline.run import STEPS, begin, discard_staging, run_step, variants
from orchestration.pipeline.spec import NAMED, RunSpec, Variant, Window

__all__ = [
    "NAMED",
    "STEPS",
    "RunSpec",
    "Variant",
    "Window",
    "begin",
    "discard_staging",
    "run_step",
    "variants",
]
