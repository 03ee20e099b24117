"""Which models the local system's consumers are told to serve, by the real registry."""

from __future__ import annotations

import pytest

from client.errors import CommandError
from client.local.readiness import free_port
from client.local.training import CHAMPION, in_service, without_champion
from tests.common.registry.conftest import CONTENT, Server

SHIPPED = "never-trained"


def test_a_family_of_ones_own_is_served_once_it_has_a_champion(mlflow_server: str) -> None:
    server = Server(mlflow_server)
    server.add(CONTENT, {})
    families = [SHIPPED, server.model]
    assert server.model not in in_service([SHIPPED], mlflow_server)
    assert without_champion(families, mlflow_server) == families

    server.point("challenger", "1")
    assert server.model not in in_service([SHIPPED], mlflow_server)

    server.point(CHAMPION, "1")
    found = in_service([SHIPPED], mlflow_server)
    assert set(families) <= set(found)
    assert found == sorted(set(found))
    assert without_champion(families, mlflow_server) == [SHIPPED]


def test_a_registry_that_is_away_is_told_with_its_address() -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(CommandError, match=nobody):
        in_service([SHIPPED], nobody)
