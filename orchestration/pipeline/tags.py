"""The tag that only the pipeline reads; those that others read are ``common.registry.Tag``."""

HOLDOUT_TAG = "carimbo.holdout"
"""How what a version never learnt is told apart: ``group (file)``, ``time (from 2017-04-01)``."""
