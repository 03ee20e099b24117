"""The form that starts a run: typed, so that Airflow refuses what no run could use.

The UI draws it, and the API and the CLI check ``conf`` against it. What it asks for, and in which
bounds, is taken from ``RunSpec``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from airflow.sdk import Param

from common.errors import PermanentError
from orchestration.airflow.settings import DagSettings
from orchestration.hyperparameters import DEFAULT
from orchestration.pipeline import NAMED, RunSpec, Variant
from orchestration.pipeline.spec import VARIANTS_AT_MOST, read_spec

LOCATION = "^(/|s3://[^/])"
"""A relative path would mean another folder in every process."""

FIELDS = frozenset(
    {
        "contract",
        "data",
        "feedback",
        "grid",
        "holdout_from",
        "promote",
        "seed",
        "variants",
        "window_end",
        "window_start",
    }
)


def form(
    families: Sequence[str], settings: DagSettings, *, is_experiment: bool
) -> dict[str, Param]:
    """The parameters of a DAG for ``families``; an experiment has nothing to promote."""
    fields = {
        "contract": Param(
            families[0], type="string", enum=list(families), description="The family to train."
        ),
        "data": _data(settings),
        "feedback": Param(
            None,
            type=["null", "string"],
            pattern=LOCATION,
            description="Where users' corrections are: a folder or s3://bucket/prefix.",
        ),
        "window_start": _day("The first day whose rows are used; all before the end unless given."),
        "window_end": _day("The last day whose rows are used; all after the start unless given."),
        "holdout_from": _day(
            "The first day held out of a family that is split by time; found in the data unless "
            "given."
        ),
        "variants": Param(
            ["default"],
            type="array",
            items={"type": "string", "enum": list(NAMED)},
            examples=list(NAMED),
            uniqueItems=True,
            maxItems=VARIANTS_AT_MOST,
            description="DagSettings to train with, by name; the best of them meets the champion.",
        ),
        "grid": Param(
            [],
            type="array",
            items=_variant_schema(),
            maxItems=VARIANTS_AT_MOST,
            description="Further variants with settings of your own: "
            '[{"name": "wide", "settings": {"leaves": 31}}]',
        ),
        "seed": Param(DEFAULT.seed, type="integer", minimum=0, description="Of the training."),
    }
    if not is_experiment:
        fields["promote"] = Param(
            True,
            type="boolean",
            description="Let the gate put a better version into service; otherwise it is only "
            "registered.",
        )
    return fields


def run_spec(params: Mapping[str, Any], *, is_experiment: bool) -> RunSpec:
    """What a filled-in form asks for.

    Raises:
        PermanentError: code "unknown-field" when ``conf`` held what no form has (Airflow hands it
            on: a misspelt ``promote`` must not promote), "no-data" when neither the form nor the
            environment names the data, "bad-spec" when the values cannot be used together.
    """
    unknown = sorted(set(params) - FIELDS)
    if unknown:
        raise PermanentError(
            "unknown-field",
            f"The form has no {', '.join(unknown)}; it has {', '.join(sorted(FIELDS))}.",
        )
    family: str = params["contract"]
    data = params["data"] or DagSettings().data_of(family)
    if data is None:
        raise PermanentError(
            "no-data", "Name the labelled files in `data`, or set CARIMBO_TRAINING_DATA."
        )
    named = [msgspec.to_builtins(NAMED[name]) for name in params["variants"]]
    spec = {
        "family": family,
        "data": data,
        "window": {"start": params["window_start"], "end": params["window_end"]},
        "variants": [*named, *params["grid"]],
        "promote": not is_experiment and params["promote"],
        "register": not is_experiment,
        "track": True,
        "seed": params["seed"],
        "feedback": params["feedback"],
        "holdout_from": params["holdout_from"],
    }
    return read_spec(msgspec.json.encode(spec).decode())


def _data(settings: DagSettings) -> Param:
    about = "Where the labelled files are: a folder or s3://bucket/prefix."
    if settings.training_data is None:
        return Param(type="string", pattern=LOCATION, description=about)
    usual = f"{about} Those of the contract in {settings.training_data} unless given."
    return Param(None, type=["null", "string"], pattern=LOCATION, description=usual)


def _day(description: str) -> Param:
    return Param(None, type=["null", "string"], format="date", description=description)


def _variant_schema() -> dict[str, Any]:
    """A variant's JSON schema, in one piece: a form cannot follow references."""
    (schema,), components = msgspec.json.schema_components([Variant], ref_template="{name}")
    found: dict[str, Any] = _closed(schema, components)
    return {**found, "required": ["name"]}


def _closed(schema: Any, components: Mapping[str, Any]) -> Any:
    """Without references, and without room for a key that nobody knows."""
    if isinstance(schema, list):
        return [_closed(value, components) for value in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _closed(components[schema["$ref"]], components)
    closed = {key: _closed(value, components) for key, value in schema.items()}
    return {**closed, "additionalProperties": False} if "properties" in schema else closed
