"""How many tokens a question comes to: vendors' rules by hand, real tokenizers' counts, what always holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.questions.prompting import annotation_request, answer_schema, judgement_schema
from agents.tokens import (
    Crops,
    MediaSize,
    Patches,
    Tiles,
    TokenRule,
    count_media,
    count_request,
    count_text,
    find_rule,
    rule_of,
    stated_rules,
    typical_answer_tokens,
)
from tests.wire.material import make_sample, ref, section, taxonomy

REAL = json.loads((Path(__file__).parent / "token_counts.json").read_text("utf-8"))
DIGITS = {"o200k_base": 3, "gemma": 1}
FLASH = find_rule("gemini", "gemini-2.5-flash") or TokenRule()
sides = st.integers(1, 5000)


@pytest.mark.parametrize("tokenizer", DIGITS)
@pytest.mark.parametrize("row", REAL, ids=[row["what"] for row in REAL])
def test_texts_are_counted_as_vendors_tokenizers_do(row: dict[str, Any], tokenizer: str) -> None:
    """The counts were made with o200k_base (OpenAI) and Gemma's vocabulary (Google)."""
    assert count_text(row["text"], DIGITS[tokenizer]) == pytest.approx(row[tokenizer], rel=0.06)


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    assert count_text(text) <= count_text(f"{text}\n{more}")
    assert count_text(text) <= len(text.encode())


@pytest.mark.parametrize(
    ("size", "tokens"), [((1024, 1024), 765), ((2048, 4096), 1105), ((640, 360), 425), ((300, 200), 255)]
)
def test_tiles_by_hand(size: tuple[int, int], tokens: int) -> None:
    """The first two are the vendor's own examples."""
    assert Tiles(kind="tiles", base=85, tile=170).tokens(*size) == tokens


@pytest.mark.parametrize(("size", "patches"), [((1024, 1024), 1024), ((1800, 2400), 1452), ((640, 360), 240)])
def test_patches_by_hand(size: tuple[int, int], patches: int) -> None:
    """The first two are the vendor's own examples."""
    assert Patches(kind="patches", budget=1536, multiplier=1).tokens(*size) == patches
    assert Patches(kind="patches", budget=1536, multiplier=2).tokens(*size) == 2 * patches


@pytest.mark.parametrize(
    ("size", "crops"), [((384, 384), 1), ((960, 540), 6), ((640, 360), 6), ((640, 640), 4)]
)
def test_crops_by_hand(size: tuple[int, int], crops: int) -> None:
    """The second is the vendor's own example."""
    assert Crops(kind="crops", tokens_each=258, whole_up_to_px=384).tokens(*size) == 258 * crops


@given(sides, sides)
def test_every_picture_costs_something_and_patches_keep_their_budget(width: int, height: int) -> None:
    for rule in stated_rules():
        if rule.image is not None:
            assert rule.image.tokens(width, height) > 0
    assert Patches(kind="patches", budget=1536, multiplier=1).tokens(width, height) <= 1536


@given(st.floats(0, 600), st.floats(0, 600), st.floats(0.1, 10), st.floats(0, 10))
def test_a_longer_clip_and_more_frames_never_cost_less(
    duration_s: float, longer_s: float, fps: float, more_fps: float
) -> None:
    def cost(length_s: float, at_fps: float) -> int:
        size = MediaSize(duration_s=length_s, has_sound=True)
        rule = FLASH.chosen({"video_fps": at_fps})
        return sum(count_media(rule, ref("clip"), size).tokens.values())

    assert cost(duration_s, fps) <= cost(duration_s + longer_s, fps)
    assert cost(duration_s, fps) <= cost(duration_s, fps + more_fps)


def test_a_clip_counts_by_its_frames_and_its_sound() -> None:
    size = MediaSize(duration_s=4.5, has_sound=True)
    assert count_media(FLASH, ref("clip"), size).tokens == {"video": 5 * 258, "audio": 144}
    twice = FLASH.chosen({"video_fps": 2.0})
    assert count_media(twice, ref("clip"), size).tokens == {"video": 9 * 258, "audio": 144}
    assert count_media(FLASH, ref("clip"), size._replace(has_sound=False)).tokens == {"video": 5 * 258}
    assert count_media(FLASH, ref("audio"), size).tokens == {"audio": 144}


def test_what_no_rule_counts_is_said_to_be_unknown() -> None:
    nothing = TokenRule()
    for kind, name in (("image", "image"), ("audio", "audio"), ("clip", "video")):
        found = count_media(nothing, ref(kind), MediaSize(640, 360, 2.0, True))
        assert (found.tokens, found.unknown) == ({}, {name})
    silent = TokenRule(video_per_frame=10)
    assert count_media(silent, ref("clip"), MediaSize(duration_s=2.0, has_sound=True)).unknown == {"audio"}


def test_rules_are_the_vendors_own_and_a_section_may_say_its_own() -> None:
    assert rule_of(section(model="gpt-4.1-2025-04-14")).image == Tiles(kind="tiles", base=85, tile=170)
    assert rule_of(section(model="gpt-4.1", base_url="http://127.0.0.1:9/v1")).image is None
    own = section(
        model="qwen", base_url="http://127.0.0.1:9/v1",
        tokens_per_image=300, tokens_per_audio_s=25, tokens_per_video_s=512.5,
    )  # fmt: skip
    size = MediaSize(640, 360, 2.0, True)
    counts = [count_media(rule_of(own), ref(kind), size).tokens for kind in ("image", "audio", "clip")]
    assert counts == [{"image": 300}, {"audio": 50}, {"video": 1025}]


@pytest.mark.parametrize(
    ("provider", "model", "options", "image", "video"),
    [
        ("gemini", "gemini-2.5-flash", {"media_resolution": "low"}, 64, 3 * 64 + 96),
        ("gemini", "gemini-3-flash-preview", {}, 1120, 3 * 70 + 75),
        ("gemini", "gemini-3-flash-preview", {"media_resolution": "high"}, 1120, 3 * 280 + 75),
        ("gemini", "gemini-2.5-flash", {"video_start_s": 1.0, "video_end_s": 2.0}, 6 * 258, 258 + 32),
        ("openai_compatible", "gpt-4.1", {"image_detail": "low"}, 85, None),
        ("openai_compatible", "gpt-4.1-mini", {"image_detail": "low"}, None, None),  # the vendor states none
    ],
)
def test_what_options_ask_of_media_counts(
    provider: str, model: str, options: dict[str, Any], image: int | None, video: int | None
) -> None:
    asked = section(provider, model=model, takes=("images", "video"), options=options, key_frames=1)
    sample = make_sample()
    request = annotation_request(sample, taxonomy(), asked)
    refs = [frame.ref for frame in sample.key_frames] + [sample.clip]
    sizes = {one.key: MediaSize(640, 360, 3.0, True) for one in refs if one is not None}
    found = count_request(rule_of(asked), request, sizes)
    assert found.tokens["image"] == (image or 0)
    assert found.tokens["video"] + found.tokens["audio"] == (video or 0)
    unknown = {"image"} if image is None else set()
    assert found.unknown == unknown | ({"video"} if video is None else set())


def test_a_question_is_the_sum_of_its_parts() -> None:
    sample = make_sample()
    sizes = {frame.ref.key: MediaSize(640, 360) for frame in sample.key_frames}

    def tokens(**changes: Any) -> dict[str, int]:
        asked = section(model="gpt-4.1", **changes)
        request = annotation_request(sample, taxonomy(), asked)
        return dict(count_request(rule_of(asked), request, sizes).tokens)

    few, many = tokens(key_frames=1), tokens(key_frames=4)
    assert (few["image"], many["image"]) == (425, 1700)
    assert few["text"] < many["text"] < few["text"] + 60  # the lines that name the times
    without = tokens(key_frames=1, gives=("json_object",))
    schema = count_text(json.dumps(answer_schema(taxonomy())))
    assert few["text"] - without["text"] == schema
    own = tokens(key_frames=1, provider="openai_compatible", base_url="http://127.0.0.1:8000/v1")
    assert few["text"] - own["text"] == schema  # a grammar is no input
    own = tokens(
        key_frames=1, provider="openai_compatible", base_url="http://127.0.0.1:8000/v1", deployment=""
    )
    assert own["text"] == few["text"]


def test_a_typical_answer_is_as_long_as_its_schema_has_it() -> None:
    annotation, rating = answer_schema(taxonomy()), judgement_schema()
    assert 400 < typical_answer_tokens(annotation) < 900
    assert 50 < typical_answer_tokens(rating) < 150
    wider = {**annotation, "properties": {**annotation["properties"], "intent": {"type": "string"}}}
    assert typical_answer_tokens(wider) > typical_answer_tokens(annotation)
