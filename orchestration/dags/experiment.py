"""One DAG for looks at any contract: train and judge, register nothing."""

from __future__ import annotations

from common.contracts import known_contracts
from orchestration.airflow.graph import experiment
from orchestration.airflow.settings import DagSettings
from orchestration.settings import Settings

experiment(list(known_contracts(Settings().contracts)), DagSettings())
