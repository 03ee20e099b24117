"""Which version labels a file that names none: the champion, or for some accounts the canary.

The decision hangs on the account and the model alone, so it is the same in every replica and after
every restart, and an account that is with the canary at 10 % still is at 20 %.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from common.contracts import Contract
from common.contracts.contract import GROUP_BY_FILE
from common.registry.routing import Canary
from producer.catalogue import Served
from producer.uploads import Upload

_WHOLE = 1 << 64


@dataclass(frozen=True, slots=True)
class Crossroads:
    """What a file that names no version meets. ``account`` is the client's own word on whose it is.

    ``account`` may be personal data: it is hashed, and never logged or sent on.
    """

    canary: Canary
    served: Served
    account: str | None


def route(key: str, model: str, canary: Canary) -> str | None:
    """The canary's version if it labels the files of this account, else None: the champion does."""
    digest = hashlib.sha256(f"{model}\0{key}".encode(errors="surrogatepass")).digest()
    share = int.from_bytes(digest[:8], "big") / _WHOLE
    return canary.version if share * 100 < canary.percent else None


def account_of(
    account: str | None, upload: Upload, contract: Contract, columns: Mapping[str, Sequence[Any]]
) -> str:
    """Whose file it is: as told, else by the contract's group, else by its name, else its content.

    The group counts where it is a column and has one value in the whole file.
    """
    if account:
        return f"account {account}"
    if contract.group != GROUP_BY_FILE:
        groups = {cell for cell in columns.get(contract.group, ()) if cell is not None}
        if len(groups) == 1:
            return f"account {groups.pop()}"
    if upload.file_name:
        return f"file {upload.file_name}"
    return f"content {hashlib.sha256(upload.content).hexdigest()}"
