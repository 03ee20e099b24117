"""Where data comes from: a folder, or a prefix of an S3 bucket. Either is copied into the run."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientError as ConnectionFailure
from botocore.exceptions import BotoCoreError, ClientError

from common.aws import aws_client
from common.errors import PermanentError, TransientError

S3 = "s3://"
CONNECTIONS = 8
CHUNK_BYTES = 1 << 20
FILES_AT_MOST = 100_000
GONE = frozenset({"NoSuchBucket", "NoSuchKey", "404"})


def copy_in(location: str, target: Path, wanted: Callable[[str], bool]) -> list[str]:
    """Copy the files directly under ``location`` whose names are ``wanted``; return the names.

    Raises:
        PermanentError: code "no-training-data" when there is no such place, "too-many-files".
        TransientError: code "object-store-unavailable".
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if location.startswith(S3):
        return sorted(asyncio.run(_download(location, target, wanted)))
    folder = Path(location)
    if not folder.is_dir():
        raise PermanentError("no-training-data", f"There is no folder {location}.")
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and wanted(path.name))
    _bound(names, location)
    for name in names:
        shutil.copyfile(folder / name, target / name)
    return names


async def _download(location: str, target: Path, wanted: Callable[[str], bool]) -> list[str]:
    bucket, _, path = location.removeprefix(S3).partition("/")
    prefix = f"{path.strip('/')}/".lstrip("/")
    try:
        async with aws_client("s3", connections=CONNECTIONS) as client:
            keys = await _keys(client, bucket, prefix)
            if not keys:
                raise PermanentError(
                    "no-training-data",
                    f"There is no file under {location}. Check its spelling; folders below it are "
                    "not entered.",
                )
            # An object of the prefix's own name is how a console makes a folder.
            names = {key.removeprefix(prefix): key for key in keys if key != prefix}
            names = {name: key for name, key in names.items() if wanted(name)}
            _bound(list(names), location)
            room = asyncio.Semaphore(CONNECTIONS)

            async def one(name: str, key: str) -> None:
                async with room:
                    await _fetch(client, bucket, key, target / name)

            await asyncio.gather(*(one(name, key) for name, key in names.items()))
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in GONE:
            raise PermanentError(
                "no-training-data", f"{location} cannot be read: {code}. Check its bucket."
            ) from error
        raise _unavailable(location, code) from error
    except (BotoCoreError, ConnectionFailure, OSError) as error:
        raise _unavailable(location, type(error).__name__) from error
    return list(names)


async def _keys(client: Any, bucket: str, prefix: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=bucket, Prefix=prefix, Delimiter="/"
    )
    return [found["Key"] async for page in pages for found in page.get("Contents", [])]


async def _fetch(client: Any, bucket: str, key: str, target: Path) -> None:
    answer = await client.get_object(Bucket=bucket, Key=key)
    async with answer["Body"] as stream:
        with target.open("wb") as file:
            while chunk := await stream.read(CHUNK_BYTES):
                file.write(chunk)


def _bound(names: list[str], location: str) -> None:
    if len(names) > FILES_AT_MOST:
        raise PermanentError(
            "too-many-files",
            f"{location} holds {len(names)} files; a run takes {FILES_AT_MOST} at most. Choose a "
            "narrower place.",
        )


def _unavailable(location: str, found: str) -> TransientError:
    return TransientError(
        "object-store-unavailable",
        f"{location} could not be read: {found}. Check that the object store answers.",
    )
