"""Sample and taxonomy to a `Request`: role-tagged text, media parts, and the answer's JSON schema. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

from agents.protocol import AnswerSchema, MediaPart, Request, TextPart
from agents.questions.answer_schema import (
    QUOTE,
    answer_schema,
    array,
    fields_text,
    label_schema,
    labels_text,
    or_null,
    strict,
)
from agents.questions.example_text import example_data, example_text
from agents.questions.examples import Example
from agents.questions.serialise import sample_view
from schemas.cues import Cue, cue_table
from schemas.ids import content_digest
from schemas.languages import LANGUAGES
from schemas.records import NO_PICTURES, Sample
from schemas.settings_models import AnnotatorSection, ModelSection
from schemas.taxonomy import Taxonomy

PROMPT_DIR = Path(__file__).parents[1] / "prompts"
DEFAULT_KEY_FRAMES = 3
SYNONYMS_TOLD = 3
OPEN_FENCE, CLOSE_FENCE = "\0open\0", "\0close\0"  # stand-ins that no label set can hold by accident
# Options that say how to reach a server or where a script lies; they cannot change an answer's meaning.
TRANSPORT_OPTIONS = frozenset({"api_version", "script"})

# Ways to put the task, in agents/prompts/variants; the first is the one that is asked when there is no other.
VARIANTS = ("checked", "observer", "rater", "alternatives", "change")

Parts = tuple[TextPart | MediaPart, ...]


class Form(NamedTuple):
    """How a question is worded, and how it may be answered: language of free text, opening, lines of text."""

    language: str = "en"
    variant: str = VARIANTS[0]
    in_lines: bool = False


def annotation_request(
    sample: Sample,
    taxonomy: Taxonomy,
    section: ModelSection,
    *,
    replicate: int = 0,
    variant: int = 0,
    deployment: str = "",
    examples: Sequence[Example] = (),
    instead: str | None = None,
) -> Request:
    """The question put to one annotator about one sample; neither sample id nor file name stands in it.

    `examples` stand before the question (see `agents.questions.examples`); `instead` is told in place of what the
    sample holds.
    """
    view = sample_view(sample, measurements="text" in section.takes)
    data = view.text if instead is None else instead
    shown = [example_data(example, measurements="text" in section.takes) for example in examples]
    form = Form(section.answer_language, VARIANTS[variant], may_answer_in_lines(section))
    system, (fenced, *others) = _fill("annotate.md", taxonomy, form, data, *shown)
    count = len(examples)
    before = [
        TextPart(text=example_text(example, other, number, count))
        for number, (example, other) in enumerate(zip(examples, others, strict=True), start=1)
    ]
    return Request(
        purpose="annotate",
        model=section.model,
        deployment=deployment,
        system=system,
        parts=(*before, TextPart(text=fenced), *media_parts(sample, section)),
        answer_schema=answer_schema(taxonomy),
        sampling=sampling(section, replicate),
        replicate=replicate,
        variant=variant,
        left_out=view.left_out,
    )


def may_answer_in_lines(section: ModelSection) -> bool:
    """Whether a model is declared as one that no server holds to JSON; then lines of text will do."""
    return section.answer_format == "text"


def fill_judge_prompt(name: str, data: str, taxonomy: Taxonomy, language: str) -> tuple[str, str]:
    """System text and fenced data of a judge's question, by the name of its prompt."""
    system, (fenced,) = _fill(name, taxonomy, Form(language), data)
    return system, fenced


def keyless_request(
    sample: Sample,
    taxonomy: Taxonomy,
    section: ModelSection,
    *,
    replicate: int = 0,
    inputs: tuple[str, ...] = (),
) -> Request:
    """The question put to a provider that reads the sample itself; `inputs` is what the provider brings."""
    return Request(
        purpose="annotate",
        model=section.model,
        system="",
        parts=(),
        answer_schema=answer_schema(taxonomy),
        sampling=sampling(section, replicate),
        replicate=replicate,
        local_inputs=(sample.id, sample.digest, taxonomy.digest, *inputs),
        sample=sample,
        taxonomy=taxonomy,
    )


def shown_features(sample: Sample, section: ModelSection) -> frozenset[str]:
    """What the prompt of `section` tells of the measurements; see `measured_features`."""
    return measured_features(sample) if "text" in section.takes else frozenset()


def measured_features(sample: Sample) -> frozenset[str]:
    """What a sample holds of measurements: feature names, "quote", and "absent:MODALITY".

    "absent:visual" stands for a list of visual events, which also tells what did not happen.
    """
    table = cue_table()
    shown = {measure.name for measure in sample.prosody if measure.value is not None}
    for event in sample.events:
        shown |= {event.cue, f"absent:{event.modality}"}
        cue = table.find(event.cue)
        if cue is not None:
            shown.add(cue.feature)
    # A measured modality without any event also tells what did not happen.
    shown |= {"absent:visual"} if sample.faces else set()
    shown |= {"absent:audio"} if sample.prosody else set()
    return frozenset(shown | ({QUOTE} if sample.own_words else set()))


def is_shown(cue: Cue | None, name: str, modality: str, direction: str, shown: frozenset[str]) -> bool:
    """Whether the measurement that decides a claim stood in the prompt.

    A doubtful case counts as shown, because a shown claim never raises a score.
    """
    if modality == "context" or name in shown or (modality == "text" and QUOTE in shown):
        return True
    if direction == "absent" and f"absent:{modality}" in shown:
        return True
    if cue is None:
        return False
    return any(item == cue.feature or item.startswith(f"{cue.feature}_") for item in shown)


class MediaShown(NamedTuple):
    """Which media a model is sent, where the sample has them."""

    clip: bool
    audio: bool
    key_frames: int


def media_shown(section: ModelSection) -> MediaShown:
    """What `takes` comes to."""
    wanted = section.key_frames if isinstance(section, AnnotatorSection) else DEFAULT_KEY_FRAMES
    images = wanted if "images" in section.takes else 0
    return MediaShown("video" in section.takes, "audio" in section.takes, images)


def media_parts(sample: Sample, section: ModelSection) -> Parts:
    """Clip, audio and key frames as far as the model takes them and the sample has them.

    A clip of sound alone is no video: servers refuse it.
    """
    shown, whose = media_shown(section), _whose(sample)
    parts: list[TextPart | MediaPart] = []
    if shown.clip and sample.clip is not None and sample.missing.get("visual") != NO_PICTURES:
        parts += [TextPart(text=f"The clip{whose}:"), MediaPart(ref=sample.clip)]
    if shown.audio and sample.audio is not None:
        parts += [TextPart(text=f"The sound of the clip{whose}:"), MediaPart(ref=sample.audio)]
    # The most telling ones come first in a sample, and are shown in order of time.
    for frame in sorted(sample.key_frames[: shown.key_frames], key=lambda frame: frame.time_s):
        parts += [TextPart(text=f"Key frame at {frame.time_s:.3f} s:"), MediaPart(ref=frame.ref)]
    return tuple(parts)


def _whose(sample: Sample) -> str:
    """Whose emotion counts, where others are seen or heard in the same media.

    Names stand in the fenced data alone: they come from recordings and transcripts.
    """
    if len({turn.speaker for turn in sample.turns}) < 2 and not sample.others:
        return ""
    return " (of everybody in it; judge the target person alone)"


def sampling(section: ModelSection, replicate: int) -> dict[str, Any]:
    """Everything beside prompt and schema that can change an answer; a replicate moves a given seed."""
    options = {key: value for key, value in section.options.items() if key not in TRANSPORT_OPTIONS}
    values = {
        "temperature": section.temperature,
        "max_output_tokens": section.max_output_tokens,
        "seed": None if section.seed is None else section.seed + replicate,
        "top_logprobs": section.top_logprobs,
        "answer_format": None if section.answer_format == "json_schema" else section.answer_format,
        "options": options or None,
    }
    return {key: value for key, value in values.items() if value is not None}


@cache
def judgement_schema() -> AnswerSchema:
    """Strict JSON schema of a rating, reasons first."""
    number = {"type": "number"}
    return AnswerSchema(
        strict(reasons=array({"type": "string"}), s_rec=number, s_reason=number, s_cot=number)
    )


@cache
def second_look_schema(taxonomy: Taxonomy) -> AnswerSchema:
    """Strict JSON schema of a second look, reasons first; the labels in the order of the taxonomy."""
    implied = or_null(label_schema(taxonomy))
    return AnswerSchema(strict(reasons=array({"type": "string"}), implied_label=implied))


def _fill(name: str, taxonomy: Taxonomy, form: Form, *data: str) -> tuple[str, list[str]]:
    """The system text, and each piece of data between two lines that none of them can contain."""
    open_fence, close_fence = fence_of("\n".join(data))
    text = _system_text(name, taxonomy, form)
    system = text.replace(OPEN_FENCE, open_fence).replace(CLOSE_FENCE, close_fence)
    return system, [f"{open_fence}\n{piece}\n{close_fence}" for piece in data]


@cache
def _system_text(name: str, taxonomy: Taxonomy, form: Form) -> str:
    """What is the same for every sample; only the fences are left to be filled in."""
    opening = (PROMPT_DIR / "variants" / f"{form.variant}.md").read_text(encoding="utf-8")
    return Template((PROMPT_DIR / name).read_text(encoding="utf-8")).safe_substitute(
        opening=opening.strip(),
        in_lines=f"\n{(PROMPT_DIR / 'lines.md').read_text(encoding='utf-8')}" if form.in_lines else "",
        language=LANGUAGES[form.language],
        instruction=taxonomy.instruction.strip(),
        answer_labels=labels_text(taxonomy, "labels"),
        labels=labels_text(taxonomy, "judge"),
        fields=fields_text(taxonomy),
        cues=_cues(),
        open_fence=OPEN_FENCE,
        close_fence=CLOSE_FENCE,
    )


def fence_of(data: str) -> tuple[str, str]:
    """Two lines to put around data, made of its digest, that it does not hold itself."""
    digest = content_digest(data)
    while (marker := f"data-{digest[:16]}") in data:
        digest = content_digest(digest)
    return f"<<<{marker}", f"{marker}>>>"


def _cues() -> str:
    """One line a cue, with a few of its synonyms: enough to be understood, short enough to be paid for."""
    return "\n".join(
        f"- {cue.cue} ({'; '.join(filter(None, (cue.modality, ', '.join(cue.synonyms[:SYNONYMS_TOLD]))))})"
        for cue in cue_table().cues.values()
    )
