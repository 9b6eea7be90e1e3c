"""An answer in lines of text, of a model that cannot write JSON, as the object that it stands for.

What is asked for is in `prompts/lines.md`:

    e1: visual, 0.5-1.5 s, smile, present: the lip corners go up
    Step 1: The smile speaks for joy. [e1]
    Label: joy, intensity 2
    Confidence: 0.8

What such models write instead is read as far as it is plain: headings ("Evidence:", "Reasoning:"), markup,
bullets, claims in prose, of which `claims` reads the cues. A claim without times speaks of the whole clip.
Nothing is guessed: a claim must name its modality, or be of one alone, and there must be exactly one
answer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from agents.answers.fields import BadAnswerError
from agents.answers.jsontext import MAX_CHARS, answer_part
from agents.answers.rationale import extract_steps
from agents.answers.stated import DECIMAL, MODALITY_WORDS, share_in, value_of
from agents.evidence import claim_words as lexicon
from agents.evidence.claims import SENTENCE_CHARS, read_claims
from agents.questions.answer_schema import DIRECTIONS, QUOTE
from agents.questions.datatext import storable
from schemas.cues import cue_table
from schemas.taxonomy import Taxonomy, is_nothing

OTHER = "other"

_SPECIAL = re.compile(r"<\|\w{1,40}\|>|</?s>|<(?:start|end)_of_turn>|</?(?:final_)?answer>", re.IGNORECASE)
_TITLE = re.compile(r"^\s*(?:#{1,6}\s++[^:\s][^:]*|\*\*[^:*]+\*\*\s*)$")
_OPEN_FIELD = re.compile(  # its value stands in the next line
    r"^((?:(?:final|primary|predicted|overall|main)\s+)?(?:emotion\s+)?(?:label|emotion|answer|prediction|confidence))s?\s*:$",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"\*{1,3}|_{2,3}|`+|^[#>\s]+|^[-+\u2022\u25cf\u00b7]\s+", re.MULTILINE)
_LABEL = re.compile(
    r"^(?:the\s+)?(?:final|primary|predicted|overall|main|dominant|most\s+prominent)?\s*"
    r"(?:emotion\s+)?(?:label|emotion|answer|prediction|class)s?\s*(?:is\s|[:=])\s*(.*)$",
    re.IGNORECASE,
)
_CONFIDENCE = re.compile(
    r"^(?:confidence|certainty)(?:\s+(?:score|level))?\s*(?:is\s|[:=])\s*(.*)$", re.IGNORECASE
)
_READING = re.compile(
    r"^(text|audio|visual)\s+(?:alone|only|reading)\s*(?:points\s+to|says)?\s*[:=]?\s*(.+)$", re.IGNORECASE
)
_ABSTAIN = re.compile(r"^abstain(?:ed|ing)?(?:[ _]reason)?\s*[:=]\s*(.+)$", re.IGNORECASE)
_NAMED = re.compile(r"^([\w ]{1,40}?)\s*[:=]\s*(.+)$")
_EVIDENCE_HEAD = re.compile(
    r"^(?:key\s+)?(?:evidence|observations?|clues|cues)\s*(?:items?)?\s*:\s*(.*)$", re.IGNORECASE
)
_STEPS_HEAD = re.compile(
    r"^(?:step[- ]by[- ]step\s+)?(?:rationale|reasoning|reasons?|explanation|analysis|steps)\s*:\s*(.*)$",
    re.IGNORECASE,
)
_STEP = re.compile(r"^step\s*+(?:#\s*+)?\d", re.IGNORECASE)
_CLAIM = re.compile(
    r"^(?:evidence\s*)?[\[(]?(?:e|evidence\s*)(\d{1,3})[\])]?\s*[:.)\u2013-]\s*(.+)$", re.IGNORECASE
)
_BEGINNINGS = (
    *(_OPEN_FIELD, _LABEL, _CONFIDENCE, _READING, _ABSTAIN),
    *(_EVIDENCE_HEAD, _STEPS_HEAD, _STEP, _CLAIM),
)
_INLINE_HEAD = re.compile(  # a new sentence that begins one of the above
    r"(?<=[.;!?)\]\"])[ \t]+(?=(?:step\s*+(?:#\s*+)?\d{1,3}|evidence|reasoning|rationale|confidence"
    r"|(?:final\s+|primary\s+)?(?:label|emotion|answer))\s*:)",
    re.IGNORECASE,
)
_CLAIMS = re.compile(r";\s+|(?<=[.!?])\s+(?=[^\W\d_a-z])")  # under a heading: one sentence, one claim
_NUMBERED = re.compile(r"^[(]?\d{1,2}[.)]\s+")
_SECONDS, _CLOCK = r"\d{1,5}(?:[.,]\d{1,3})?", r"\d{1,3}:\d{2}(?:[.,]\d{1,3})?"
_UNIT, _TO = r"\s*(?:s|sec|seconds)\b", r"\s*(?:-|\u2013|\u2014|to|until)\s*"
_SPAN = re.compile(
    rf"(?<![\w.,:])(?:({_CLOCK}){_TO}({_CLOCK})|({_SECONDS})(?:{_UNIT})?{_TO}({_SECONDS}){_UNIT})(?![.,:]?\d)"
)
_MOMENT = re.compile(rf"(?<![\w.,:])(?:at\s+)?(?:({_CLOCK})(?![.,:]?\d)|({_SECONDS}){_UNIT})")
# What takes an answer back, where it is followed by another class.
_TAKEN_BACK = re.compile(
    r"\b(?:unlikely|rather|instead|actually|reflection|wrong|no|not|but|or|maybe|perhaps|possibly|though)\b",
    re.IGNORECASE,
)
_QUOTED = re.compile('"([^"]{1,400})"|\u201c([^\u201d]{1,400})\u201d|\u00ab([^\u00bb]{1,400})\u00bb')
_INTENSITY = re.compile(
    r"(?<![\s,(\[])[\s,(\[]*+intensity\s*(?:of\s+|[:=])?\s*(\d(?:\.\d+)?)(?:\s*/\s*3)?\s*[)\]]?",
    re.IGNORECASE,
)
_BECAUSE = re.compile(
    r"(?<![\s,;(\u2013\u2014-])[\s,;(\u2013\u2014-]++(?:because|since|as|due\s+to|given|with)\b.*$|[.(].*$",
    re.IGNORECASE | re.DOTALL,
)
_CLOCKS = re.compile(_CLOCK)
_NOT_PRESENT = re.compile(r"(?:is )?not (?:present|visible|seen|shown|observed|there)", re.IGNORECASE)
_ONE_NUMBER = re.compile(rf"{DECIMAL}(?!\s*(?:[-\u2013\u2014~]|to|or)\s*[+-]?\.?\d)")  # no range


def read_lines(text: str, taxonomy: Taxonomy, *, duration_s: float) -> dict[str, Any]:
    """The fields of the answer, in the shape of the JSON object, still to be checked.

    Raises:
        BadAnswerError: "no_label_line", "several_answers", "wrong_shape" or "too_long".
    """
    sorted_lines = _sorted(text, taxonomy)
    if sorted_lines.abstain and not sorted_lines.labels:
        return {"labels": [], "abstain_reason": sorted_lines.abstain, "confidence": None}
    steps = extract_steps("\n".join(sorted_lines.steps))
    return {
        "evidence": [
            _claim(given, said, position, duration_s)
            for position, (given, said) in enumerate(sorted_lines.claims, start=1)
        ],
        "rationale": [{"n": s.n, "text": s.text, "evidence_ids": list(s.evidence_ids)} for s in steps],
        "readings": sorted_lines.readings,
        "labels": _labels(sorted_lines.labels, taxonomy) if taxonomy.asks_labels else [],
        "confidence": _confidence(sorted_lines.confidence),
        "dimensions": {name: _number(sorted_lines.named.get(name)) for name in taxonomy.dimensions},
        "heads": {name: sorted_lines.named.get(name) for name in taxonomy.heads},
        "abstain_reason": sorted_lines.abstain,
    }


def read_label_lines(text: str, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """The labels alone, where nothing else is asked for; none where the answer abstains.

    Raises:
        BadAnswerError: as `read_lines`.
    """
    found = _sorted(text, taxonomy)
    return [] if found.abstain and not found.labels else _labels(found.labels, taxonomy)


def read_claim(line: str, position: int, duration_s: float) -> dict[str, Any]:
    """One claim in prose, "e1: visual, 0.5-1.5 s, smile", as an item of the evidence.

    Raises:
        BadAnswerError: "wrong_shape", it names no modality.
    """
    plain = " ".join(_MARKUP.sub("", storable(line)).split())
    found = _CLAIM.match(plain)
    return _claim(f"e{int(found[1])}" if found else "", found[2] if found else plain, position, duration_s)


def _sorted(text: str, taxonomy: Taxonomy) -> _Lines:
    if len(text) > MAX_CHARS:
        raise BadAnswerError("too_long", f"longer than {MAX_CHARS} characters")
    lines = _Lines(taxonomy)
    for line in _INLINE_HEAD.sub("\n", answer_part(storable(text))).splitlines():
        lines.take(line)
    return lines


class _Lines:
    """The lines of an answer by what they say."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        self.labels: list[str] = []
        self.claims: list[tuple[str, str]] = []  # id as written, or "", and the claim
        self.steps: list[str] = []
        self.readings: dict[str, str] = {}
        self.named: dict[str, str] = {}
        self.confidence: str | None = None
        self.abstain: str | None = None
        self._names = {
            name.replace("_", " ").lower(): name for name in (*taxonomy.dimensions, *taxonomy.heads)
        }
        self._claiming = False  # under the heading of the evidence
        self._open: str | None = None  # a field whose value is still to come

    def take(self, line: str) -> None:
        line = _SPECIAL.sub("", line)
        said = " ".join(_MARKUP.sub("", line).split()).replace("\uff1a", ": ", 1)
        plain = f"{said}:" if _TITLE.match(line) else said
        if said and self._open:
            if not (line.lstrip().startswith("#") or self._begins(plain) or self._begins(f"{said}:")):
                plain = f"{self._open}: {said}"
            self._open = None
        if not plain:
            self.steps.append("")
        elif found := _OPEN_FIELD.match(plain):
            self._open = found[1]
        elif not self._field(plain) and not self._head(plain):
            claim = _CLAIM.match(plain)
            if claim and not _STEP.match(plain):
                self.claims.append((f"e{int(claim[1])}", claim[2]))
            elif self._claiming and not _STEP.match(plain):
                self._claims(_NUMBERED.sub("", plain))
            else:
                self._claiming = False
                self.steps.append(line)

    @staticmethod
    def _begins(line: str) -> bool:
        """Whether a line begins something of its own, and so is no value of the field above it."""
        return bool(_NAMED.match(line)) or any(begin.match(line) for begin in _BEGINNINGS)

    def _claims(self, said: str) -> None:
        self.claims += [("", one) for one in map(str.strip, _CLAIMS.split(said)) if one]

    def _field(self, line: str) -> bool:
        """A line that is one field by itself."""
        if found := _READING.match(line):
            value = found[2].strip(" .")
            if not is_nothing(value):
                self.readings[found[1].lower()] = value
        elif found := _CONFIDENCE.match(line):
            self.confidence = found[1]
        elif found := _ABSTAIN.match(line):
            self.abstain = None if is_nothing(found[1]) else found[1]
        elif (found := _NAMED.match(line)) and found[1].lower() in self._names:
            self.named[self._names[found[1].lower()]] = found[2].strip().rstrip(" .")
        elif found := _LABEL.match(line):
            self.labels.append(found[1])
        else:
            return False
        self._claiming = False
        return True

    def _head(self, line: str) -> bool:
        """A heading, with what stands behind it in the line."""
        if found := _EVIDENCE_HEAD.match(line):
            self._claiming = True
            self._claims(found[1])
        elif found := _STEPS_HEAD.match(line):
            self._claiming = False
            self.steps.append(found[1])
        else:
            return False
        return True


def _labels(lines: Sequence[str], taxonomy: Taxonomy) -> list[dict[str, Any]]:
    if not lines:
        raise BadAnswerError("no_label_line", "neither a JSON object nor a line that begins with Label:")
    found = [_label(line, taxonomy) for line in lines]
    if any(answer != found[0] for answer in found):
        raise BadAnswerError("several_answers", " | ".join(lines))
    return found[0]


def _label(line: str, taxonomy: Taxonomy) -> list[dict[str, Any]]:
    """The labels of one line, "joy, intensity 2; surprise" with what explains them left out."""
    labels: list[dict[str, Any]] = []
    whole = line.strip(" .\"'")
    one = taxonomy.match(whole) is not None
    stated = whole if one else _BECAUSE.sub("", _marked(whole))
    if not one and taxonomy.kind != "open":
        _refuse_taken_back(whole, stated, taxonomy)
    pieces = [whole] if one else re.split(r"[,;]|\band\b", stated)
    for piece in filter(None, (piece.strip(" .\"'") for piece in pieces)):
        intensity = re.search(r"<(\d(?:\.\d+)?)>", piece)
        name = re.sub(r"<[\d.]+>", "", piece).strip()
        labels.append({"label": name, "intensity": float(intensity[1]) if intensity else None})
    return labels or [{"label": whole, "intensity": None}]


def _refuse_taken_back(whole: str, stated: str, taxonomy: Taxonomy) -> None:
    """ "joy (unlikely; rather sadness)" is no answer."""
    explained = _marked(whole)[len(stated) :]
    others = taxonomy.named_in(explained) - taxonomy.named_in(stated)
    if others and _TAKEN_BACK.search(explained):
        raise BadAnswerError("several_answers", whole)


def _marked(text: str) -> str:
    return _INTENSITY.sub(lambda match: f"<{match[1]}>", text)


def _confidence(text: str | None) -> float | None:
    stated = None if text is None else share_in(text)
    if text is not None and stated is None:
        raise BadAnswerError("wrong_shape", f"confidence is not a number: {text[:40]}")
    return stated


def _number(text: str | None) -> float | None:
    """A number at the beginning; None where there are no digits, such as in "none" or "high"."""
    if text is None or not re.search(r"\d", text):
        return None
    number = _ONE_NUMBER.match(text.replace("\u2212", "-"))
    if number is None:
        raise BadAnswerError("wrong_shape", f"not a number: {text[:40]}")
    return value_of(number[0])


def _claim(given: str, said: str, position: int, duration_s: float) -> dict[str, Any]:
    stated, rest = _modality(said)
    untimed = _CLOCKS.sub("", rest)
    head, colon, description = untimed.partition(":")
    direction = next((field for field in _fields(untimed) if field in DIRECTIONS), "present")
    fields = _naming(_fields(head), _fields(untimed))
    quoted = _QUOTED.search(rest)
    quote = next((group for group in quoted.groups() if group), None) if quoted else None
    table = cue_table()
    cue = next((cue for field in fields if field and (cue := table.find(field, direction))), None)
    name = cue.cue if cue else QUOTE if quote and stated in (None, "text") else OTHER
    told = {claim.modality for claim in read_claims(rest[:SENTENCE_CHARS]).claims} if name == OTHER else set()
    modality = stated or (cue.modality if cue else "text" if name == QUOTE else None)
    if modality is None and len(told) != 1:
        raise BadAnswerError("wrong_shape", f"evidence {position} names no modality: {said[:80]}")
    start_s, end_s = _span(rest, duration_s)
    return {
        "id": given or f"e{position}",
        "modality": modality or told.pop(),
        "start_s": start_s,
        "end_s": end_s,
        "cue": name,
        "direction": direction,
        "quote": quote if name == QUOTE else None,
        "description": (description if colon else rest).strip(),
    }


def _fields(said: str) -> list[str]:
    """The pieces of a claim, its direction as it is written in the schema."""
    fields = [field.strip(" .") for field in re.split(r"[,:()]", said)]
    fields = ["absent" if _NOT_PRESENT.fullmatch(field) else field for field in fields]
    return [field.lower() if field.lower() in DIRECTIONS else field for field in fields]


def _naming(ahead: list[str], fields: list[str]) -> list[str]:
    """The fields that may name the cue. None where a cue is denied in words: the sentence says then which one.

    `ahead`: those before the description; where they state a direction, a "not" behind them only describes.
    """
    if not _denies(fields):
        return fields
    return ahead if not _denies(ahead) and set(DIRECTIONS).intersection(ahead) else []


def _denies(fields: list[str]) -> bool:
    said = _QUOTED.sub("", " , ".join(field for field in fields if field != "absent"))
    return not lexicon.NEGATIONS.isdisjoint(lexicon.words_of(lexicon.plain(said)))


def _modality(said: str) -> tuple[str | None, str]:
    """The modality that a claim begins or ends with, and the claim without it."""
    first = re.match(
        r"^[\[(]?([A-Za-z]+)(?:\s+(?:evidence|cue|modality))?[\])]?\s*[:,\u2013\u2014-]\s*", said
    )
    if first and first[1].lower() in MODALITY_WORDS:
        return MODALITY_WORDS[first[1].lower()], said[first.end() :]
    last = re.search(r"\s*[\[(]([A-Za-z]+)[\])]\W*$", said)
    if last and last[1].lower() in MODALITY_WORDS:
        return MODALITY_WORDS[last[1].lower()], said[: last.start()]
    return None, said


def _span(said: str, duration_s: float) -> tuple[float, float]:
    if span := _SPAN.search(said):
        return _at_s(span[1] or span[3]), _at_s(span[2] or span[4])
    if moment := _MOMENT.search(said):
        return (at_s := _at_s(moment[1] or moment[2])), at_s
    return 0.0, duration_s


def _at_s(text: str) -> float:
    """Seconds of "1.5", "1,5" or "0:01.5"."""
    minutes, _, seconds = text.rpartition(":")
    return 60 * int(minutes or 0) + value_of(seconds)
