"""An annotation without a name on it: what would tell a judge who wrote it, and what would tell the label.

Only the words of the annotator are changed; the quotes from the recording stand as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache

from agents.judges.families import families
from schemas.parts import Evidence, Triplet
from schemas.records import Annotation, Sample
from schemas.taxonomy import Taxonomy, plain

SOMEBODY = "[annotator]"
LABEL = "⟦label⟧"  # in the brackets of `datatext.STAND_INS`
SELF = r"(?P<self>\b(?:i am|i'm|my name is|signed|(?:written|annotated|labelled) by)\s+(?:an?\s+|the\s+)?)"
SPOKEN_AS = r"(?P<as>\bas\s+(?:an?\s+|the\s+)?)"
REST = r"[\w-]*(?:\.\w[\w-]*)*"  # of a model's name; a full stop behind it is not part of it
VERSION = rf"(?:[-. ]?v?\d{REST}(?: (?:pro|flash|mini|turbo|lite|omni|vl)\b)?|-\w{REST})?"
MODEL_WORDS = r"(?:large |multimodal |vision |ai )*(?:language |ai )(?:model|assistant)"
ENDINGS = (
    "e|y|es|ies|ied|iedly|ed|edly|d|ing|ingly|ily|iness|ier|iest|s|ly|ness|ful|fully|fulness|ous|ously|ance|ion|ions"
    "|ment|ments|ement|ity|ely|some|er|est|ying|yingly|isome|uous|uously"
)
SHORT_ENDINGS = "s|ed|ing|ly|ness|ful|fully|fulness|ous|ously|less|er|some"
DOUBLED = "er|est|en|ens|ened|ening|eningly"  # behind a last letter that is doubled: sadder, maddening
NEGATED = "(?:un|non-?)?"  # "unsurprised" tells what was thought of
LEAST_STEM = 5  # a shorter word keeps all its letters, and takes endings that make no other word of it


def without_names(annotation: Annotation, sample: Sample) -> Triplet:
    """The answer with every name of a model or annotator in it neutralised, and its typography plain.

    Marks of Markdown, curly quotes and long dashes tell one model's writing from another's.

    A name that the recording itself holds (a speaker called Claude) stays: there it names a person.

    Raises:
        ValueError: the annotation holds no answer.
    """
    answer = _answer(annotation)
    spoken = {word.lower() for word in re.findall(r"\w+(?:[.-]\w+)*", said_in(sample))}
    telling = [name for name in _names(annotation) if name.lower() not in spoken]
    ordinary = [name for name in (annotation.annotator, annotation.model) if name.isalpha()]
    return _rewritten(answer, (*_STYLE, *_patterns(tuple(telling), tuple(ordinary))))


def without_label(
    answer: Triplet, taxonomy: Taxonomy, said: str, alike: re.Pattern[str] | None = None
) -> Triplet:
    """The answer with all words of the label set masked, in whatever form, and those of its own labels.

    All classes are masked alike: which ones are left would tell the label, too. A quote stands where it is part
    of what was `said` in the clip: there it is evidence. Else it may be the annotator's own word. `alike`
    matches words of the same meanings in the language of the answer.
    """
    own = [score.label for score in answer.labels]
    read = [reading for reading in answer.readings.model_dump().values() if reading]
    words = [word for name in taxonomy.names for word in taxonomy.words(name)]
    pattern = _label_pattern(tuple(dict.fromkeys([*words, *own, *read])))
    patterns = [(one, LABEL) for one in (pattern, alike) if one is not None]
    masked = _rewritten(answer, patterns)
    heard = f" {plain(said)} "
    evidence = (
        item.model_copy(update={"quote": _put(item.quote, patterns)})
        if item.quote and f" {plain(item.quote)} " not in heard
        else item
        for item in masked.evidence
    )
    return masked.model_copy(update={"evidence": tuple(evidence)})


Patterns = Sequence[tuple[re.Pattern[str], str]]
_STYLE: Patterns = tuple(
    (re.compile(pattern, re.MULTILINE), instead)
    for pattern, instead in (
        (r"^[^\S\n]*+(?:#{1,6}|[-*•‣▪])\s++", ""),  # headings and lists
        *2 * ((r"(?<![\w*])(\*{1,3})(?=\S)([^*\n]+)(?<=\S)\1(?![\w*])", r"\2"),),  # one may stand in another
        (r"`+", ""),
        (r"(?<!\w)_++(?=\w)|(?<=[^\W_])_++(?!\w)", ""),
        (r"[“”„]", '"'),
        (r"[‘’]", "'"),
        (r"(?<!\s)\s*+—\s*+|\s–\s", " - "),
    )
)


def _put(text: str, patterns: Patterns) -> str:
    for pattern, instead in patterns:
        text = pattern.sub(instead, text)
    return text


def _rewritten(answer: Triplet, patterns: Patterns) -> Triplet:
    evidence = (
        _evidence(item, _put(item.cue, patterns), _put(item.description, patterns))
        for item in answer.evidence
    )
    rationale = (step.model_copy(update={"text": _put(step.text, patterns)}) for step in answer.rationale)
    return answer.model_copy(update={"evidence": tuple(evidence), "rationale": tuple(rationale)})


def _evidence(item: Evidence, cue: str, description: str) -> Evidence:
    return item.model_copy(update={"cue": cue, "description": description})


def _answer(annotation: Annotation) -> Triplet:
    if annotation.answer is None:
        raise ValueError(f"{annotation.id} holds no answer")
    return annotation.answer


def said_in(sample: Sample) -> str:
    """All that the recording itself brings of words and names."""
    speakers = (sample.target.speaker, *(turn.speaker for turn in sample.turns))
    context = (text for turn in sample.context for text in (turn.speaker, turn.text))
    words = (text for word in sample.words for text in (word.text, word.speaker))
    return " ".join(filter(None, (*speakers, *context, *words)))


def _names(annotation: Annotation) -> list[str]:
    """Names that no ordinary word looks like, the longest first: this annotator's own, and those of families."""
    own = [annotation.annotator, annotation.model, annotation.model.rpartition("/")[2]]
    if annotation.model_version:
        own.append(annotation.model_version)
    names = [name for name in own if name and not name.isalpha()]
    return sorted({*names, *(name for family in families() for name in family.names)}, key=len, reverse=True)


@cache
def _patterns(telling: tuple[str, ...], ordinary: tuple[str, ...]) -> Patterns:
    """`telling` names go wherever they stand, `ordinary` words only where somebody speaks of themselves."""
    spelled = "|".join(re.escape(name) for name in telling)
    found = [
        # With a version behind it: "GPT-4o", "Gemini 2.5 Pro", "Qwen2.5-Omni-7B".
        (rf"(?<![\w-])(?:{spelled}){VERSION}(?!\w)", SOMEBODY),
        (rf"\b(?:an? )?{MODEL_WORDS}\b", SOMEBODY),
    ]
    if ordinary:
        words = "|".join(re.escape(word) for word in ordinary)
        found.append((rf"{SELF}(?:{words})\b", rf"\g<self>{SOMEBODY}"))
        found.append((rf"{SPOKEN_AS}(?:{words})\b(?=,| i\b)", rf"\g<as>{SOMEBODY}"))
    return tuple((re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in found)


@cache
def _label_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    forms = "|".join(_forms(words))
    return re.compile(forms, re.IGNORECASE) if forms else re.compile(r"(?!)")


def _forms(words: Iterable[str]) -> list[str]:
    """Each word with the endings that make another form of it; scripts without blanks have no borders."""
    found = []
    for word in sorted(words, key=len, reverse=True):
        if not word.isascii():
            found.append(re.escape(word))
            continue
        long = len(word) >= LEAST_STEM
        stem = re.sub(r"(?:ied|ed|e|y)$", "", word) if long else word
        if long and word.endswith("ious"):  # "furious", "fury"; "anxious", "anxiety"
            found.append(rf"(?<!\w){re.escape(word[:-4])}(?:y|ies|iety|ieties)(?!\w)")
        stem = re.escape(stem).replace(r"\ ", r"[\s_-]+").replace(r"\-", r"[\s_-]?")
        stem = re.sub(r"ief$", "ie[fv]", stem)  # "grief", "grieving"
        doubled = "" if long else f"|{re.escape(word[-1])}(?:{DOUBLED})"
        found.append(rf"(?<!\w){NEGATED}{stem}(?:{ENDINGS if long else SHORT_ENDINGS}{doubled})?(?!\w)")
    return found
