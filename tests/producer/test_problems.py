from __future__ import annotations

import pytest
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from common.errors import PermanentError, TransientError
from common.messages import Failed, FailureCode, PredictionId, Violation
from common.tables import UnreadableFile
from producer.problems import (
    KINDS,
    FailedPredictionError,
    RowsRejectedError,
    UnknownError,
    headers_of,
    problem_of,
)

VIOLATION = Violation(code="bad-date", line=3, column="date", message="not a date")


def failed(code: str) -> FailedPredictionError:
    return FailedPredictionError(
        Failed(prediction_id=PredictionId("i"), model="m", code=code, message="why")
    )


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (PermanentError("no-header", "m"), "no-header", 422),
        (PermanentError("too-large", "m"), "too-large", 413),
        (PermanentError("message-too-large", "m"), "message-too-large", 413),
        (PermanentError("unsupported-media-type", "m"), "unsupported-media-type", 415),
        (PermanentError("never-heard-of", "m"), "unprocessable", 422),
        (PermanentError("sqs-refused", "m"), "internal", 500),
        (TransientError("sqs-unavailable", "m"), "unavailable", 503),
        (TransientError("overloaded", "m"), "overloaded", 503),
        (NotFoundException(), "not-found", 404),
        (MethodNotAllowedException(), "method-not-allowed", 405),
        (HTTPException(status_code=400), "bad-request", 400),
        (HTTPException(status_code=418), "bad-request", 400),
        (HTTPException(status_code=500), "internal", 500),
        (ValueError("a bug"), "internal", 500),
        (failed(FailureCode.EXPIRED), "expired", 504),
        (failed(FailureCode.UNKNOWN_VERSION), "unknown-version", 404),
        (failed(FailureCode.CONTRACT_MISMATCH), "contract-mismatch", 409),
        (failed(FailureCode.PREDICTION_ID_REUSED), "prediction-id-reused", 409),
        (failed(FailureCode.UNPROCESSABLE), "unprocessable", 422),
        (failed(FailureCode.INTERNAL), "worker-failed", 502),
    ],
)
def test_every_error_has_one_type_and_one_status(error: Exception, code: str, status: int) -> None:
    problem = problem_of(error)
    assert (problem.type, problem.status) == (f"/problems/{code}", status)
    assert problem.title == KINDS[code].title


@pytest.mark.parametrize("code", list(FailureCode))
def test_no_failure_of_a_worker_is_without_a_type_of_its_own(code: str) -> None:
    assert problem_of(failed(code)).type.removeprefix("/problems/") in KINDS


def test_the_text_of_an_unexpected_error_stays_inside() -> None:
    problem = problem_of(ValueError("account 4111 1111"))
    assert "4111" not in problem.detail


def test_an_expected_error_explains_itself() -> None:
    assert problem_of(PermanentError("no-header", "Found no date.")).detail == "Found no date."


def test_a_problem_names_the_prediction() -> None:
    problem = problem_of(ValueError(), prediction_id="8f7e")
    assert (problem.instance, problem.prediction_id) == ("urn:uuid:8f7e", "8f7e")


def test_an_unreadable_file_says_what_was_looked_for_and_what_was_found() -> None:
    error = UnreadableFile(
        "no-header", "m", looked_for="date, amount", found="one column", violations=[VIOLATION]
    )
    problem = problem_of(error)
    assert (problem.looked_for, problem.found) == ("date, amount", "one column")
    assert problem.violations == [VIOLATION]


def test_an_unknown_name_comes_with_the_known_ones() -> None:
    assert problem_of(UnknownError("unknown-model", "m", known=["a", "b"])).known == ["a", "b"]


def test_a_strict_refusal_lists_violations_up_to_a_bound_and_counts_all() -> None:
    problem = problem_of(RowsRejectedError([VIOLATION] * 5000))
    assert problem.violations is not None
    assert len(problem.violations) == 1000
    assert "5000" in problem.detail


@pytest.mark.parametrize("delay", [0.2, 1.0, 2.5])
def test_what_may_pass_says_when_to_come_back_in_whole_seconds(delay: float) -> None:
    headers = headers_of(TransientError("sqs-unavailable", "m", delay_seconds=delay))
    assert int(headers["Retry-After"]) >= delay


def test_a_lasting_error_does_not_ask_the_client_to_come_back() -> None:
    assert headers_of(PermanentError("no-header", "m")) == {}
