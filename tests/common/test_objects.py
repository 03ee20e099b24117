from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from common.aws import aws_client
from common.errors import TransientError
from common.objects import ObjectStore

JSON = "application/json"
pytestmark = pytest.mark.usefixtures("aws_environment")


@pytest.fixture
async def store() -> AsyncIterator[ObjectStore]:
    async with aws_client("s3", connections=10) as client:
        store = ObjectStore(client, f"bucket-{uuid4().hex}")
        await store.ensure_bucket()
        yield store


async def test_what_was_put_is_read_back_byte_for_byte(store: ObjectStore) -> None:
    body = "SERVIÇO\x00\r\n".encode()

    assert await store.put_once("results/a.json", body, JSON)
    assert await store.get("results/a.json") == body


async def test_an_object_that_was_never_put_is_none(store: ObjectStore) -> None:
    assert await store.get("results/never.json") is None


async def test_the_second_put_of_a_key_changes_nothing_and_says_so(store: ObjectStore) -> None:
    await store.put_once("results/a.json", b"first", JSON)

    assert not await store.put_once("results/a.json", b"second", JSON)
    assert await store.get("results/a.json") == b"first"


async def test_of_many_puts_at_once_exactly_one_wins(store: ObjectStore) -> None:
    bodies = [f"writer {number}".encode() for number in range(10)]

    won = await asyncio.gather(*(store.put_once("results/a.json", b, JSON) for b in bodies))

    assert sum(won) == 1
    assert await store.get("results/a.json") == bodies[won.index(True)]


async def test_what_was_deleted_is_gone_and_its_key_is_free_again(store: ObjectStore) -> None:
    await store.put_once("results/a.json", b"first", JSON)
    await store.put_once("results/b.json", b"other", JSON)

    await store.delete("results/a.json")

    assert await store.get("results/a.json") is None
    assert await store.get("results/b.json") == b"other"
    assert await store.put_once("results/a.json", b"second", JSON)


async def test_deleting_what_is_not_there_is_no_error(store: ObjectStore) -> None:
    await store.delete("results/never.json")


async def test_a_bucket_that_exists_is_kept_with_what_is_in_it(store: ObjectStore) -> None:
    await store.put_once("results/a.json", b"kept", JSON)

    await store.ensure_bucket()

    assert await store.get("results/a.json") == b"kept"


async def test_an_expiry_that_is_set_again_replaces_itself_and_no_rule_of_others(
    store: ObjectStore,
) -> None:
    theirs = {
        "ID": "theirs",
        "Status": "Enabled",
        "Filter": {"Prefix": "reports/"},
        "Expiration": {"Days": 90},
    }
    await store._client.put_bucket_lifecycle_configuration(
        Bucket=store.bucket,
        LifecycleConfiguration={"Rules": [theirs]},  # type: ignore[list-item]
    )

    for days in (7, 7, 30):
        await store.expire(["results/", "claims/"], days=days)

    found = await store._client.get_bucket_lifecycle_configuration(Bucket=store.bucket)
    assert sorted((rule["ID"], rule["Expiration"]["Days"]) for rule in found["Rules"]) == [
        ("carimbo-expire-claims", 30),
        ("carimbo-expire-results", 30),
        ("theirs", 90),
    ]


async def test_a_missing_bucket_is_a_transient_error_that_names_it() -> None:
    async with aws_client("s3", connections=1) as client:
        store = ObjectStore(client, "no-such-bucket")
        for act in (
            store.ping(),
            store.get("a"),
            store.put_once("a", b"b", JSON),
            store.delete("a"),
        ):
            with pytest.raises(TransientError, match="'no-such-bucket'"):
                await act


async def test_a_store_that_does_not_answer_is_a_transient_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    async with aws_client("s3", connections=1, attempts=1) as client:
        store = ObjectStore(client, "carimbo")
        for act in (
            store.ping(),
            store.get("a"),
            store.put_once("a", b"b", JSON),
            store.delete("a"),
        ):
            with pytest.raises(TransientError, match="'carimbo'"):
                await act


async def test_no_error_names_the_key_whose_id_is_the_callers_business() -> None:
    async with aws_client("s3", connections=1) as client:
        with pytest.raises(TransientError) as caught:
            await ObjectStore(client, "no-such-bucket").get("results/somebody.json")

    assert "somebody" not in str(caught.value)
