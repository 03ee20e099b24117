"""A DAG a contract: train, judge, register, promote."""

from __future__ import annotations

from common.contracts import known_contracts
from orchestration.airflow.graph import retrain
from orchestration.airflow.settings import DagSettings
from orchestration.settings import Settings

for family in known_contracts(Settings().contracts):
    retrain(family, DagSettings())
