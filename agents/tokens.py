"""How many tokens a question comes to, before it is asked. Pure; what vendors do is in `data/token_rules.toml`.

The words of a text are counted as byte-pair tokenizers part them: a word is one token or two, a number is cut
into groups of digits, signs between them stand for themselves. Against two vendors' own tokenizers (o200k_base,
Gemma) this is within 6 % for whole questions in eight languages.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from agents.prices import SNAPSHOT
from agents.protocol import AnswerSchema, MediaPart, Request, TextPart
from agents.servers import deployment_of, vendor_of
from schemas.parts import MediaRef
from schemas.settings_models import ModelSection

RULE_FILE = Path(__file__).parent / "data" / "token_rules.toml"
PIECE = re.compile(r"[A-Za-z]+|[^\x00-\x7f]+|\d+|[^\w\s]+|_+|\n+")
LETTERS_PER_TOKEN, SIGNS_PER_TOKEN = 8, 3
WIDE = "\u2e80"  # from here on scripts that write a syllable or a word with one character
TOKENS_PER_WIDE, OTHER_PER_TOKEN = 0.9, 3
DIGITS_PER_TOKEN = 3
# In these protocols servers other than the vendor's own are vLLM, SGLang, Ollama, LM Studio and the like.
GRAMMARS = frozenset({"openai", "openai_compatible"})
PATCH_PX, TILE_PX, LONGEST_PX, SHORT_PX = 32, 512, 2048, 768
# A typical answer, where there is none yet: so many items in each list, so many tokens in each text.
ITEMS_PER_LIST, TOKENS_PER_TEXT, TOKENS_PER_NUMBER = 3, 12, 3


class Tiles(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["tiles"]
    base: int
    tile: int

    def tokens(self, width_px: int, height_px: int) -> int:
        width, height = _shrunk(width_px, height_px, LONGEST_PX / max(width_px, height_px))
        width, height = _shrunk(width, height, SHORT_PX / min(width, height))
        return self.base + self.tile * math.ceil(width / TILE_PX - 1e-9) * math.ceil(height / TILE_PX - 1e-9)


class Patches(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["patches"]
    budget: int
    multiplier: float

    def tokens(self, width_px: int, height_px: int) -> int:
        patches = _patches(width_px) * _patches(height_px)
        if patches > self.budget:
            shrink = math.sqrt(self.budget * PATCH_PX**2 / (width_px * height_px))
            wide, high = width_px * shrink / PATCH_PX, height_px * shrink / PATCH_PX
            shrink = min(math.floor(wide) / wide, math.floor(high) / high)
            patches = min(self.budget, math.ceil(wide * shrink) * math.ceil(high * shrink))
        return math.ceil(patches * self.multiplier)


class Crops(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["crops"]
    tokens_each: int
    whole_up_to_px: int

    def tokens(self, width_px: int, height_px: int) -> int:
        if max(width_px, height_px) <= self.whole_up_to_px:
            return self.tokens_each
        side = max(1, math.floor(min(width_px, height_px) / 1.5))
        return self.tokens_each * math.ceil(width_px / side) * math.ceil(height_px / side)


class Fixed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: Literal["fixed"]
    tokens_each: int

    def tokens(self, width_px: int, height_px: int) -> int:  # noqa: ARG002 - whatever the size
        return self.tokens_each


ImageRule = Tiles | Patches | Crops | Fixed


class Resolution(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    image: ImageRule | None
    video_per_frame: float | None


class TokenRule(BaseModel):
    """How media are counted; None: nobody knows. A clip counts by its frames and its sound, or by its seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    digits_per_token: int = DIGITS_PER_TOKEN
    reads_schema: bool = (
        True  # servers that hold an answer to its schema by a grammar do not count it as input
    )
    image: ImageRule | None = None
    audio_per_s: float | None = None
    video_per_frame: float | None = None
    video_fps: float = 1.0
    video_per_s: float | None = None  # all of a clip, its sound included
    resolutions: dict[str, Resolution] = {}

    def chosen(self, options: Mapping[str, Any]) -> TokenRule:
        """The rule for what options ask of pictures and clips; unknown where the vendor states none."""
        update: dict[str, Any] = {}
        if (name := options.get("media_resolution")) is not None:
            update = dict(self.resolutions.get(name, Resolution(image=None, video_per_frame=None)))
        if options.get("image_detail") == "low":
            low = self.image.base if isinstance(self.image, Tiles) else None
            update["image"] = None if low is None else Fixed(kind="fixed", tokens_each=low)
        if (fps := options.get("video_fps")) is not None:
            update["video_fps"] = fps
        return self.model_copy(update=update)


class Stated(TokenRule):
    """A row of the file: whose rule it is, and where it stands."""

    provider: str
    models: tuple[str, ...]
    source: str
    read_on: date


class MediaSize(NamedTuple):
    """What counts of a picture, a sound or a clip."""

    width_px: int = 0
    height_px: int = 0
    duration_s: float = 0.0
    has_sound: bool = False


class Counted(NamedTuple):
    """Tokens by modality, and the kinds of media that no rule counts."""

    tokens: Counter[str]
    unknown: frozenset[str]


def rule_of(section: ModelSection) -> TokenRule:
    """The vendor's rule, where the section asks the vendor itself, with what the section says in its place."""
    stated = None if deployment_of(section) else find_rule(vendor_of(section), section.model)
    rule = (TokenRule() if stated is None else stated).chosen(section.options)
    own: dict[str, Any] = {"reads_schema": not (deployment_of(section) and section.provider in GRAMMARS)}
    if section.tokens_per_image is not None:
        own["image"] = Fixed(kind="fixed", tokens_each=section.tokens_per_image)
    if section.tokens_per_audio_s is not None:
        own["audio_per_s"] = section.tokens_per_audio_s
    if section.tokens_per_video_s is not None:
        own["video_per_s"] = section.tokens_per_video_s
    return rule.model_copy(update=own)


def find_rule(provider: str, model: str) -> TokenRule | None:
    names = (model, SNAPSHOT.sub("", model))
    found = (rule for name in names for rule in stated_rules() if (provider, name) in _whose(rule))
    return next(found, None)


@cache
def stated_rules() -> tuple[Stated, ...]:
    """The shipped rules."""
    return tuple(Stated.model_validate(row) for row in tomllib.loads(RULE_FILE.read_text("utf-8"))["rule"])


def count_text(text: str, digits_per_token: int = DIGITS_PER_TOKEN) -> int:
    """About how many tokens a text comes to."""
    return math.ceil(sum(_tokens_of(piece, digits_per_token) for piece in PIECE.findall(text)))


def count_media(rule: TokenRule, ref: MediaRef, size: MediaSize) -> Counted:
    """The tokens of one piece of media."""
    if ref.kind == "image":
        return _one("image", None if rule.image is None else rule.image.tokens(size.width_px, size.height_px))
    if ref.kind == "audio":
        return _one("audio", _of_seconds(rule.audio_per_s, size.duration_s))
    if rule.video_per_s is not None or rule.video_per_frame is None:
        return _one("video", _of_seconds(rule.video_per_s, size.duration_s))
    frames = max(1, math.ceil(size.duration_s * rule.video_fps - 1e-6))
    tokens, unknown = _one("video", math.ceil(frames * rule.video_per_frame))
    if not size.has_sound:
        return Counted(tokens, unknown)
    sound = _one("audio", _of_seconds(rule.audio_per_s, size.duration_s))
    return Counted(tokens + sound.tokens, unknown | sound.unknown)


def count_request(rule: TokenRule, request: Request, sizes: dict[str, MediaSize]) -> Counted:
    """What a question comes to; `sizes` by the key of each piece of media."""
    texts = [request.system, *(part.text for part in request.parts if isinstance(part, TextPart))]
    tokens: Counter[str] = Counter(text=sum(count_text(text, rule.digits_per_token) for text in texts))
    options = request.sampling.get("options", {})
    if rule.reads_schema and request.sampling.get("answer_format", "json_schema") == "json_schema":
        tokens["text"] += schema_tokens(request.answer_schema, rule.digits_per_token)
    unknown: frozenset[str] = frozenset()
    for part in request.parts:
        if isinstance(part, MediaPart):
            media = count_media(rule, part.ref, _looked_at(part.ref, sizes[part.ref.key], options))
            tokens, unknown = tokens + media.tokens, unknown | media.unknown
    return Counted(tokens, unknown)


_SCHEMAS: dict[tuple[str, int], int] = {}


def schema_tokens(schema: AnswerSchema, digits_per_token: int) -> int:
    """What a schema comes to that is sent with each question."""
    key = (schema.digest, digits_per_token)
    if key not in _SCHEMAS:
        _SCHEMAS[key] = count_text(json.dumps(schema), digits_per_token)
    return _SCHEMAS[key]


def typical_answer_tokens(schema: dict[str, Any]) -> int:
    """How long an answer of a schema is, where none is known yet: three items in each list, texts of a sentence.

    A model's thoughts are not in it, though they are paid for as output.
    """
    return math.ceil(_typical(schema))


def _typical(schema: dict[str, Any]) -> float:
    if "anyOf" in schema:
        return max(_typical(one) for one in schema["anyOf"])
    kinds = schema.get("type")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    if kind == "object":
        fields = schema.get("properties", {})
        return 2 + sum(count_text(f'"{name}": ,') + _typical(value) for name, value in fields.items())
    if kind == "array":
        return 1 + ITEMS_PER_LIST * (1 + _typical(schema.get("items", {})))
    if "enum" in schema:
        return sum(count_text(f'"{one}"') for one in schema["enum"]) / len(schema["enum"])
    return {"string": TOKENS_PER_TEXT, "null": 1}.get(str(kind), TOKENS_PER_NUMBER)


def _tokens_of(piece: str, digits_per_token: int) -> float:
    first = piece[0]
    if not first.isascii():
        wide = first >= WIDE
        return max(1.0, len(piece) * TOKENS_PER_WIDE if wide else len(piece) / OTHER_PER_TOKEN)
    if first == "\n":
        return 1
    by = digits_per_token if first.isdigit() else LETTERS_PER_TOKEN if first.isalpha() else SIGNS_PER_TOKEN
    return math.ceil(len(piece) / by)


def _one(kind: str, tokens: int | None) -> Counted:
    return (
        Counted(Counter(), frozenset({kind}))
        if tokens is None
        else Counted(Counter({kind: tokens}), frozenset())
    )


def _looked_at(ref: MediaRef, size: MediaSize, options: Mapping[str, Any]) -> MediaSize:
    """A clip as far as the request has the model look at it."""
    if ref.kind != "clip":
        return size
    start_s, end_s = options.get("video_start_s") or 0.0, options.get("video_end_s") or size.duration_s
    return size._replace(duration_s=max(0.0, min(end_s, size.duration_s) - start_s))


def _of_seconds(per_s: float | None, duration_s: float) -> int | None:
    return None if per_s is None else math.ceil(per_s * duration_s - 1e-6)


def _shrunk(width: float, height: float, factor: float) -> tuple[float, float]:
    return (width * factor, height * factor) if factor < 1 else (width, height)


def _patches(length_px: float) -> int:
    return math.ceil(length_px / PATCH_PX)


def _whose(rule: Stated) -> set[tuple[str, str]]:
    return {(rule.provider, model) for model in rule.models}
