"""Start LocalStack in host mode, bound to the loopback address only.

Run by the engine's own interpreter (``.venv-engine``). LocalStack's Twisted server ignores the host
in GATEWAY_LISTEN and binds every interface, so the endpoint class is narrowed before it loads.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import endpoints

_AnyInterface = endpoints.TCP4ServerEndpoint


class _LoopbackOnly(_AnyInterface):  # type: ignore[misc]  # twisted is untyped here
    def __init__(
        self, reactor: Any, port: int, backlog: int = 511, interface: str = "127.0.0.1"
    ) -> None:
        super().__init__(reactor, port, backlog, interface)


endpoints.TCP4ServerEndpoint = _LoopbackOnly

from localstack.runtime.main import main  # noqa: E402 - must see the narrowed endpoint

main()
