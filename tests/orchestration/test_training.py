"""Training learns, says what it left out, and gives the same bytes from the same rows."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from common.contracts import Contract
from common.errors import PermanentError
from orchestration.evaluation import answer, figures
from orchestration.extraction import TrainingFile
from orchestration.splits import hold_out
from orchestration.text_prior import text_prior
from orchestration.training import Hyperparameters, Trained, train
from tests.orchestration.conftest import FEW_ROUNDS


def test_the_same_rows_give_the_same_bytes(
    contract: Contract, sample_files: list[TrainingFile], trained: Trained
) -> None:
    again = train(contract, sample_files, FEW_ROUNDS)
    assert again.model == trained.model
    assert again.encoder_bytes == trained.encoder_bytes


def test_unseen_files_are_labelled_better_than_by_the_majority(
    contract: Contract, sample_files: list[TrainingFile]
) -> None:
    part = hold_out(contract, sample_files)
    found = figures(answer(train(contract, part.train), part.test))
    assert found.macro_f1 > 2 * found.majority_macro_f1
    assert found.accuracy > found.majority_accuracy


def test_rare_labels_are_left_out_and_reported(
    contract: Contract, sample_files: list[TrainingFile], trained: Trained
) -> None:
    first = sample_files[0]
    rare = TrainingFile(
        name=first.name, columns=first.columns, labels=["one of a kind", *first.labels[1:]]
    )
    found = train(contract, [rare, *sample_files[1:]], FEW_ROUNDS)
    assert found.left_out["one of a kind"] == 1
    assert "one of a kind" not in found.encoders.labels
    assert min(found.label_counts.values()) >= FEW_ROUNDS.label_rows
    assert set(found.encoders.labels) <= set(trained.encoders.labels)


def test_a_model_of_many_labels_gets_fewer_rounds(
    contract: Contract, sample_files: list[TrainingFile]
) -> None:
    few = train(contract, sample_files, Hyperparameters(rounds=40, trees_at_most=45, threads=1))
    labels = len(few.encoders.labels)
    prior = labels if few.encoders.text_scores else 0
    assert few.booster.num_trees() == prior + labels * (45 // labels)


def test_a_single_label_cannot_be_learnt(
    contract: Contract, sample_files: list[TrainingFile]
) -> None:
    first = sample_files[0]
    same = TrainingFile(name="a", columns=first.columns, labels=["x"] * len(first.labels))
    with pytest.raises(PermanentError, match="at least two") as refused:
        train(contract, [same], FEW_ROUNDS)
    assert refused.value.code == "too-few-labels"


def test_a_row_of_more_weight_is_learnt_as_so_many_rows(
    contract: Contract, sample_files: list[TrainingFile], trained: Trained
) -> None:
    once, thrice = (
        train(
            contract,
            [
                msgspec.structs.replace(file, weights=[weight if at % 2 else 1.0 for at, _ in rows])
                for file in sample_files
                for rows in [list(enumerate(file.labels))]
            ],
            FEW_ROUNDS,
        )
        for weight in (1.0, 3.0)
    )
    assert once.model == trained.model
    assert once.encoder_bytes == trained.encoder_bytes
    assert thrice.model != trained.model


def test_the_text_prior_adds_up_the_scores_of_every_label() -> None:
    rows = np.log(np.random.default_rng(1).dirichlet([1, 1, 1], size=(50, 2))).reshape(50, 6)
    matrix = np.column_stack([np.arange(50.0), rows])
    names = [f"feature_{place}" for place in range(7)]
    prior = text_prior(names, [[1, 2, 3], [4, 5, 6]], 3)
    raw = prior.predict(matrix, raw_score=True)
    np.testing.assert_allclose(raw, (rows[:, :3] + rows[:, 3:]) / 2, rtol=1e-12)
    single = text_prior(names[:4], [[1, 2, 3]], 3)
    np.testing.assert_allclose(single.predict(matrix[:, :4]), np.exp(rows[:, :3]), rtol=1e-9)
