"""Content ids: canonical JSON, the hash of a question (`content_id`) and of an answer (`content_digest`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

ID_HEX_CHARS = 24  # 96 bits: a collision among 10^9 records has a chance of about 10^-11


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no blanks, UTF-8, no NaN or infinity.

    Raises:
        ValueError: for NaN and infinities, which have no JSON form.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_digest(value: Any) -> str:
    """SHA-256 (64 hex characters) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def content_id(prefix: str, question: Any) -> str:
    """Id of a record or an artifact: `prefix_` and the start of the question's digest."""
    return f"{prefix}_{content_digest(question)[:ID_HEX_CHARS]}"


def file_digest(path: Path, *, progress: Callable[[int], None] | None = None) -> str:
    """SHA-256 (hex) of a file's bytes, read in 1 MiB blocks; `progress` gets the bytes read so far."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            done += len(block)
            if progress is not None:
                progress(done)
    return digest.hexdigest()
