"""What the broker needs of FastStream's private modules, name by name.

When an upgrade of FastStream turns one of these red, ``common/faststream_sqs`` must follow it.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.faststream_sqs import _compat

PACKAGE = Path(_compat.__file__).parent

SIGNATURES: list[tuple[Callable[..., Any], set[str]]] = [
    (_compat.BrokerUsecase.__init__, {"config", "specification", "routers"}),
    (_compat.BrokerUsecase._basic_publish, {"cmd", "producer"}),
    (_compat.BrokerUsecase._basic_publish_batch, {"cmd", "producer"}),
    (_compat.BrokerUsecase._basic_request, {"cmd", "producer"}),
    (_compat.BrokerUsecase.stop, {"exc_type", "exc_val", "exc_tb"}),
    (_compat.BrokerRouter.__init__, {"config", "handlers", "routers"}),
    (_compat.Registrator.subscriber, {"subscriber", "persistent"}),
    (_compat.Registrator.publisher, {"publisher", "persistent"}),
    (_compat.SubscriberUsecase.__init__, {"config", "specification", "calls"}),
    (_compat.SubscriberUsecase.add_call, {"parser_", "decoder_", "dependencies_"}),
    (_compat.SubscriberUsecase.process_message, {"msg"}),
    (_compat.SubscriberUsecase._build_fastdepends_model, set()),
    (_compat.SubscriberUsecase._make_response_publisher, {"message"}),
    (_compat.SubscriberUsecase._post_start, set()),
    (_compat.PublisherUsecase.__init__, {"config", "specification"}),
    (_compat.PublisherUsecase._basic_publish, {"cmd", "producer", "_extra_middlewares"}),
    (_compat.PublisherUsecase._basic_request, {"cmd", "producer"}),
    (_compat.PublisherUsecase._publish, {"cmd", "_extra_middlewares"}),
    (_compat.FakePublisher.__init__, {"producer"}),
    (_compat.FakePublisher.patch_command, {"cmd"}),
    (_compat.ProducerProto.publish, {"cmd"}),
    (_compat.ProducerProto.publish_batch, {"cmd"}),
    (_compat.ProducerProto.request, {"cmd"}),
    (_compat.TestBroker.__init__, {"with_real", "connect_only"}),
    (_compat.TestBroker._fake_start, {"broker"}),
    (_compat.TestBroker._fake_connect, {"broker"}),
    (_compat.TestBroker._patch_producer, {"broker"}),
    (_compat.TestBroker.create_publisher_fake_subscriber, {"broker", "publisher"}),
    (_compat.change_producer, {"config", "producer"}),
    (_compat.LoggerState.__init__, {"log_level", "storage"}),
]

FIELDS: list[tuple[type, set[str]]] = [
    (
        _compat.BrokerConfig,
        {
            "prefix",
            "producer",
            "logger",
            "fd_config",
            "broker_middlewares",
            "broker_dependencies",
            "graceful_timeout",
            "ack_policy",
            "extra_context",
            "id_generator",
        },
    ),
    (_compat.FastDependsConfig, {"use_fastdepends", "serializer", "context"}),
    (
        _compat.SubscriberUsecaseConfig,
        {"_outer_config", "_ack_policy", "no_reply", "parser", "decoder"},
    ),
    (_compat.PublisherUsecaseConfig, {"_outer_config"}),
    (_compat.SubscriberSpecificationConfig, {"title_", "description_", "include_in_schema"}),
    (
        _compat.PublisherSpecificationConfig,
        {"title_", "description_", "include_in_schema", "schema_"},
    ),
]

ATTRIBUTES: list[tuple[type, set[str]]] = [
    (_compat.HandlerItem, {"decoder", "dependant", "name"}),
    (_compat.SubscriberUsecase, {"_no_reply", "_broker_middlewares", "get_log_context"}),
    (_compat.SubscriberSpecification, {"channel_labels", "get_payloads", "get_schema", "name"}),
    (_compat.PublisherSpecification, {"calls", "get_payloads", "get_schema", "name"}),
    (_compat.CallsCollection, {"add_call"}),
]


@pytest.mark.parametrize(
    ("function", "parameters"), SIGNATURES, ids=lambda v: getattr(v, "__qualname__", "")
)
def test_a_private_function_still_takes(function: Callable[..., Any], parameters: set[str]) -> None:
    missing = parameters - inspect.signature(function).parameters.keys()
    assert not missing, f"FastStream's {function.__qualname__} no longer takes {missing}"


@pytest.mark.parametrize(("config", "fields"), FIELDS, ids=lambda v: getattr(v, "__name__", ""))
def test_a_private_config_still_has(config: type, fields: set[str]) -> None:
    missing = fields - {name for c in config.__mro__ for name in inspect.get_annotations(c)}
    assert not missing, f"FastStream's {config.__name__} no longer has {missing}"


@pytest.mark.parametrize(("owner", "names"), ATTRIBUTES, ids=lambda v: getattr(v, "__name__", ""))
def test_a_private_class_still_offers(owner: type, names: set[str]) -> None:
    slots = {name for c in owner.__mro__ for name in getattr(c, "__slots__", ())}
    missing = {name for name in names if name not in slots and not hasattr(owner, name)}
    assert not missing, f"FastStream's {owner.__name__} no longer offers {missing}"


def test_only_one_file_knows_the_private_modules() -> None:
    knowing = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom | ast.Import)
        for name in [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
        if name.startswith("faststream._internal")
    }
    assert knowing == {"_compat.py"}


def test_every_private_name_is_used() -> None:
    text = "\n".join(
        path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.name != "_compat.py"
    )
    assert [name for name in _compat.__all__ if name not in text] == []
