"""When two headings are the same heading."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_GAPS = re.compile(r"[\s_\-]+")
_INVISIBLE = dict.fromkeys(map(ord, "\ufeff\u200b\u200e\u200f\u00ad"))


@lru_cache(maxsize=4096)
def heading_key(heading: str) -> str:
    """Reduce a heading to what identifies it.

    Case, accents, padding, and whether words are held apart by spaces, underscores or hyphens are
    a matter of the program that wrote the file.
    """
    if not heading.isascii():
        decomposed = unicodedata.normalize("NFKD", heading.translate(_INVISIBLE))
        heading = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return _GAPS.sub(" ", heading).strip().casefold()
