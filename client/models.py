"""``carimbo models``: list what can be asked for; show and compare versions; choose who serves."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from client.api import DEFAULT_URL, Client
from client.errors import CommandError
from client.installation import find_installation
from client.local.running import find_running
from client.models_screen import compared, promotion_line, shadow_line, shown
from client.screen import make_console, models_table
from client.settings import state_folder, tracking_uri
from client.shadow_figures import add_up
from common.errors import CarimboError
from common.registry import Alias, ModelVersion, RegisteredModel, Registry
from common.registry.promotion import promote, rollback
from common.registry.routing import (
    read_routing,
    start_canary,
    start_shadow,
    stop_canary,
    stop_shadow,
)

BY_HAND = "by hand"

T = TypeVar("T")


def add_models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``models`` and its commands to the parser of ``carimbo``; alone, it lists."""
    models = commands.add_parser("models", help="list models; show, compare, promote versions")
    _add_url(models)
    models.set_defaults(command=_list)
    acts = models.add_subparsers(metavar="command")

    lists = acts.add_parser("list", help="the models that can be asked for (the default)")
    _add_url(lists, default=argparse.SUPPRESS)
    lists.set_defaults(command=_list)

    show = acts.add_parser("show", help="a model's versions, figures, history and routing")
    show.add_argument("model")
    show.set_defaults(command=_show)

    compare = acts.add_parser("compare", help="two versions' figures side by side")
    compare.add_argument("model")
    compare.add_argument("version", nargs="*", help="two versions (champion and challenger)")
    compare.add_argument(
        "--shadow", action="store_true", help="how far the second agreed as a shadow, as well"
    )
    compare.set_defaults(command=_compare)

    promotes = acts.add_parser("promote", help="make a version the champion")
    promotes.add_argument("model")
    promotes.add_argument("version")
    _add_reason(promotes)
    promotes.set_defaults(command=_promote)

    back = acts.add_parser("rollback", help="put back the version that the champion replaced")
    back.add_argument("model")
    _add_reason(back)
    back.set_defaults(command=_rollback)

    canary = acts.add_parser("canary", help="give a version a share of the accounts, or end that")
    canary.add_argument("model")
    which = canary.add_mutually_exclusive_group(required=True)
    which.add_argument("version", nargs="?")
    which.add_argument("--stop", action="store_true", help="the champion labels every file again")
    canary.add_argument("--percent", type=float, default=10.0, help="of the accounts (10)")
    canary.set_defaults(command=_canary)

    shadow = acts.add_parser("shadow", help="send a version a copy of every file, or end that")
    shadow.add_argument("model")
    either = shadow.add_mutually_exclusive_group(required=True)
    either.add_argument("version", nargs="?")
    either.add_argument("--stop", action="store_true", help="send no more copies")
    shadow.set_defaults(command=_shadow)


def _add_url(parser: argparse.ArgumentParser, default: str = DEFAULT_URL) -> None:
    parser.add_argument("--url", default=default, help=f"the service ({DEFAULT_URL})")


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", default=BY_HAND, help=f"kept with the version ({BY_HAND})")


def _list(options: argparse.Namespace) -> None:
    with Client(options.url) as client:
        make_console().print(models_table(client.models()))


def _show(options: argparse.Namespace) -> None:
    model = _in_registry(lambda registry: _model(registry, options.model))
    make_console().print(shown(model, read_routing(model.tags)))


def _compare(options: argparse.Namespace) -> None:
    async def look(registry: Registry) -> list[tuple[ModelVersion, dict[str, float]]]:
        model = await _model(registry, options.model)
        found = [await registry.version(model.name, each) for each in _pair(options, model)]
        return [(version, await registry.metrics(version)) for version in found]

    left, right = _in_registry(look)
    console = make_console()
    console.print(compared(left, right))
    if options.shadow:
        installation = find_installation()
        figures = asyncio.run(add_up(installation.bucket, options.model, right[0].version))
        console.print(shadow_line(right[0], figures), soft_wrap=True)


def _pair(options: argparse.Namespace, model: RegisteredModel) -> list[str]:
    """The two versions to compare."""
    if len(options.version) == 2:  # noqa: PLR2004 - two sides
        return list(options.version)
    aliases = [model.aliases.get(alias) for alias in (Alias.CHAMPION, Alias.CHALLENGER)]
    pair = [version for version in aliases if version is not None]
    if options.version or len(pair) != len(aliases):
        raise CommandError(
            f"Two versions are compared. {model.name} has a champion {aliases[0] or '(none)'} and "
            f"a challenger {aliases[1] or '(none)'}; name two of its versions: "
            f"{', '.join(version.version for version in model.versions) or 'none yet'}"
        )
    return pair


def _promote(options: argparse.Namespace) -> None:
    done = _in_registry(
        lambda registry: promote(registry, options.model, options.version, reason=options.reason)
    )
    if not done.is_new:
        raise CommandError(
            f"Version {done.version} of {done.model} is the champion already"
            + (f", since {done.at} ({done.reason})." if done.at else ".")
        )
    make_console().print(promotion_line(done), soft_wrap=True)


def _rollback(options: argparse.Namespace) -> None:
    done = _in_registry(lambda registry: rollback(registry, options.model, reason=options.reason))
    make_console().print(promotion_line(done), soft_wrap=True)


def _canary(options: argparse.Namespace) -> None:
    model = options.model
    console = make_console()
    if options.stop:
        stopped = _in_registry(lambda registry: stop_canary(registry, model, reason=BY_HAND))
        if stopped is None:
            raise CommandError(f"{model} has no canary that could be stopped.")
        console.print(f"{model}: the canary of version {stopped.version} ended.")
        return
    begun = _in_registry(
        lambda registry: start_canary(registry, model, options.version, options.percent)
    )
    console.print(
        f"{model}: version {begun.version} labels the files of {begun.percent:g} % of the "
        "accounts, as soon as every producer has looked at the registry.",
        soft_wrap=True,
    )


def _shadow(options: argparse.Namespace) -> None:
    model = options.model
    console = make_console()
    if options.stop:
        ended = _in_registry(lambda registry: stop_shadow(registry, model))
        if ended is None:
            raise CommandError(f"{model} has no shadow that could be stopped.")
        console.print(f"{model}: the shadow of version {ended.version} ended.")
        return
    begun = _in_registry(lambda registry: start_shadow(registry, model, options.version))
    console.print(
        f"{model}: version {begun.version} gets a copy of every file. A worker with "
        "CARIMBO_SHADOW=true compares them.",
        soft_wrap=True,
    )


async def _model(registry: Registry, name: str) -> RegisteredModel:
    for model in await registry.models():
        if model.name == name:
            return model
    raise CommandError(f"The registry has no model {name!r}. See: carimbo models")


def _in_registry(act: Callable[[Registry], Awaitable[T]]) -> T:
    """Do something with the registry that the shell names, or the local system's."""

    async def done(address: str) -> T:
        async with Registry(address) as registry:
            return await act(registry)

    try:
        return asyncio.run(done(tracking_uri() or _local_registry()))
    except CarimboError as error:
        raise CommandError(error.message) from error


def _local_registry() -> str:
    try:
        return find_running(state_folder()).mlflow
    except CommandError as error:
        raise CommandError(f"{error} Or set MLFLOW_TRACKING_URI.") from error
