"""How a model is trained, as plain numbers: known without loading what trains."""

from __future__ import annotations

import msgspec


class Hyperparameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What training chose once, for every family; logged with each version.

    ``rounds`` is cut down so that a model of many labels has at most ``trees_at_most`` trees: a
    tree costs every row some 20 ns. A label of fewer than ``label_rows`` training rows is left
    out. ``balance`` weighs a label of n rows by n to the power of minus ``balance``: 0 serves
    accuracy, 1 serves every label alike; it counts half where the recipe reads text, whose own
    answer, unweighted, the trees start from.
    """

    rounds: int = 25
    trees_at_most: int = 1_600
    label_rows: int = 2
    balance: float = 0.5
    learning_rate: float = 0.1
    leaves: int = 7
    leaf_rows: int = 20
    penalty: float = 10.0
    seed: int = 7
    threads: int = 2


DEFAULT = Hyperparameters()
