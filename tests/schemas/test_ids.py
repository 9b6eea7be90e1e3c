"""Ids are hashes of questions: equal questions, equal ids; any difference, another id."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ids import canonical_json, content_digest, content_id, file_digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_the_order_of_keys_does_not_matter(value: dict[str, object]) -> None:
    turned = dict(reversed(list(value.items())))
    assert content_id("x", value) == content_id("x", turned)


@given(JSON, JSON)
def test_different_values_have_different_digests(a: object, b: object) -> None:
    assert (content_digest(a) == content_digest(b)) == (canonical_json(a) == canonical_json(b))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"x": [float("-inf")]}])
def test_numbers_that_json_does_not_have_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


def test_an_id_names_its_kind_and_has_96_bits() -> None:
    prefix, _, tail = content_id("src", {"sha256": "00"}).partition("_")
    assert prefix == "src"
    assert len(bytes.fromhex(tail)) == 12


def test_a_file_digest_is_the_sha256_of_its_bytes(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8192  # two blocks of 1 MiB
    (tmp_path / "x").write_bytes(data)
    seen: list[int] = []
    assert file_digest(tmp_path / "x", progress=seen.append) == hashlib.sha256(data).hexdigest()
    assert seen == [1 << 20, 2 << 20]
