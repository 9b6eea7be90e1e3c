"""Free text to concise steps, `Step 1..N`, each with the evidence that it names. Pure: same text, same steps.

Reference: Shou et al. 2025, https://arxiv.org/abs/2509.24322, section 4.3 (rationale extractor). The form of the
steps is that of MME-Emotion: Zhang et al. 2025, https://arxiv.org/abs/2508.09210.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from agents.questions.datatext import storable
from schemas.parts import Step

MAX_STEPS = 10
STEP_CHARS = 300
MAX_CHARS = 50_000  # what is longer is no rationale; the rest is not read

_EMPHASIS = re.compile(r"\*{1,3}|_{2,3}|`+")
_HEADING = re.compile(r"^#{1,6}\s*|^>\s*")
_SEPARATOR = re.compile(r"^[-=*_~]{3,}$")
_CIRCLED = "\u2460-\u2473\u2776-\u277f"
_DIGITS = "[一二三四五六七八九十\\d]{1,3}"
# "Step 1", as languages call it; "第一步" and "1단계" say the number first or in between.
_STEP_WORD = (
    r"(?:(?:reasoning\s+)?(?:step|schritt|[ée]tape|paso|passo|шаг|步骤|步驟|ステップ)\s*+(?:#\s*+)?\d{1,3}"
    rf"|第{_DIGITS}步|\d{{1,3}}\s*단계)"
)
_MARKS = "[:：.)、，\u2013\u2014-]"
_STEP = re.compile(rf"^{_STEP_WORD}\s*(?:{_MARKS}+|$)\s*", re.IGNORECASE)
_STEP_HEAD = re.compile(rf"^{_STEP_WORD}(?![\w.,]*\d)\s*{_MARKS}*\s*", re.IGNORECASE)
_NUMBER = re.compile(
    rf"^(?:[(\[]?\d{{1,2}}[.):\]]+(?=\s|$)|\d{{1,2}}[.)．](?=[^\W\d_])|[(]?[a-hA-H][)](?=\s)|[(]?(?:i{{1,3}}|iv|vi{{0,3}}|ix)[.)](?=\s)"
    rf"|[{_CIRCLED}]|\d{{1,2}}\s*[\u2013\u2014-](?=\s)|{_DIGITS}、)\s*"
)
_BULLET = re.compile(r"^[-*+\u2022\u2023\u25aa\u25cf\u25e6\u00b7\u2013\u2014]\s+")
_INLINE_STEP = re.compile(r"(?<=[\s.;:!?])(?=step\s*+(?:#\s*+)?\d{1,3}\s*[:.)\u2013\u2014-])", re.IGNORECASE)
_INLINE_NUMBER = re.compile(r"(?:(?<=\s)|^)[(]?(\d{1,2})[.)](?=\s)")
_SHORT = "".join(
    rf"(?<!\b{word}\.)" for word in ("Dr", "Mr", "Mrs", "Ms", "Prof", "St", "vs", "cf", r"e\.g", r"i\.e")
)
_SENTENCE = re.compile(  # a stop, and what comes after it does not go on in lower case; the closing mark stays
    rf"(?<=[.!?]){_SHORT}\s+(?=[\"'(\u201c\u2018\[]?[^\W\d_a-z])|(?<=[.!?][\"')\u201d\u2019\]])\s+(?=[^\W\d_a-z])"
    '|(?<=[。！？])(?![”’」』）"，、；])\\s*|(?<=[。！？][”’」』）"])(?![，、；。的])\\s*'
)
_CONNECTIVE = re.compile(
    r"^(?:and\s+)?(?:first(?:ly)?|second(?:ly)?|third(?:ly)?|fourth(?:ly)?|fifth(?:ly)?|to\s+begin\s+with|then|next"
    r"|after\s+that|after\s+this|finally|lastly|in\s+conclusion|to\s+conclude|in\s+sum(?:mary)?|overall|therefore|thus"
    r"|hence|consequently|as\s+a\s+result|however|on\s+the\s+other\s+hand|in\s+contrast|by\s+contrast|additionally"
    r"|moreover|furthermore|also|meanwhile|taken\s+together|in\s+addition|at\s+the\s+same\s+time|so)\b(?:\s*,|\s)",
    re.IGNORECASE,
)
_ORDINAL = re.compile(
    r"^(?:(?:and\s+)?(?:first(?:ly)?|second(?:ly)?|third(?:ly)?|fourth(?:ly)?|fifth(?:ly)?|then|next|finally|lastly"
    rf"|to\s+begin\s+with|after\s+that)\s*[,:]|(?:首先|其次|再次|接着|接著|然后|然後|最后|最後|第{_DIGITS})[，,：:、])\s*",
    re.IGNORECASE,
)
# What draws the conclusion: a line that begins so below a list is no part of its last item.
_CONCLUSION = re.compile(
    r"^(?:therefore|thus|hence|overall|consequently|in\s+conclusion|to\s+conclude|in\s+sum(?:mary)?|taken\s+together|conclusion)\b"
    "|^(?:综上|綜上|因此|所以|总之|總之|结论|結論|したがって|따라서)",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"^(?:sure|okay|ok|certainly|of\s+course|let(?:'|\u2019)?s|let\s+us|let\s+me|now,?\s+let(?:'|\u2019)?s"
    r"|here(?:'s|\s+is|\s+are)|i\s+hope|hope\s+this|please\s+let\s+me|feel\s+free|i\s+will|i'll|to\s+answer|the\s+following)\b[^.!?:]*[.!:]?$",
    re.IGNORECASE,
)
_CITED = re.compile(
    r"[\[(]\s*((?:evidence\s+)?e\d{1,3}(?:\s*(?:,|;|&|and|\+)\s*(?:evidence\s+)?e\d{1,3})*)\s*[\])]",
    re.IGNORECASE,
)
_ID = re.compile(r"(?<![^\W_])e(\d{1,3})(?![^\W_])", re.IGNORECASE)


def extract_steps(text: str) -> tuple[Step, ...]:
    """At most `MAX_STEPS` steps of at most `STEP_CHARS` characters; none of them says what another says.

    Read are numbered and lettered lists, "Step 1:", bullets, and "first, then, finally"; else paragraphs, else
    sentences. Of a longer list the first steps and the last one, the conclusion, are taken. Citations in brackets
    become `evidence_ids`, as written: whether there is such evidence is for the caller to check.
    """
    steps: dict[str, tuple[str, list[str]]] = {}
    for unit in _units(storable(text)[:MAX_CHARS]):
        said, cited = _tidy(unit)
        key = re.sub(r"\W+", " ", said).strip().casefold()
        if key:
            kept = steps.setdefault(key, (said, []))[1]
            kept += [name for name in cited if name not in kept]
    found = list(steps.values())
    if len(found) > MAX_STEPS:
        found = [*found[: MAX_STEPS - 1], found[-1]]
    return tuple(
        Step(n=n, text=said, evidence_ids=tuple(ids)) for n, (said, ids) in enumerate(found, start=1)
    )


def _units(text: str) -> list[str]:
    """The stretches of a text that are one step each."""
    lines = [_plain_line(line) for line in _INLINE_STEP.sub("\n", text).splitlines()]
    for marker in (_STEP, _NUMBER, _BULLET):
        if sum(bool(marker.match(line)) for line in lines) >= (1 if marker is _STEP else 2):
            return _listed(lines, marker)
    paragraphs = [" ".join(group) for group in _groups(lines)]
    numbered = [unit for paragraph in paragraphs for unit in _numbered_inline(paragraph)]
    if len(numbered) > len(paragraphs):
        return [unit for unit in numbered if not _is_filler(unit)]
    sentences = [_kept_sentences(paragraph) for paragraph in paragraphs]
    if len(paragraphs) > 1:
        return [" ".join(said) for said in sentences]
    return _by_connectives([sentence for said in sentences for sentence in said])


def _plain_line(line: str) -> str:
    line = line.strip()
    if _SEPARATOR.match(line):
        return ""
    bullet = _BULLET.match(line)
    rest = line[bullet.end() :] if bullet else line
    rest = _EMPHASIS.sub("", _HEADING.sub("", rest)).strip()
    return f"- {rest}" if bullet else rest


def _listed(lines: Sequence[str], marker: re.Pattern[str]) -> list[str]:
    """One unit a marked line, with the lines below it; what stands before the list counts if it is a sentence."""
    units: list[str] = []
    begun = blank = False
    for line in lines:
        if marker.match(line):
            units.append(line)
            begun = True
        elif line and begun and not blank and not _CONCLUSION.match(line):
            units[-1] = f"{units[-1]} {_BULLET.sub('', line)}"
        elif line:
            units.append(line)
        blank = not line or (blank and not marker.match(line) and not begun)
    return [unit for unit in units if not _is_filler(unit)]


def _groups(lines: Iterable[str]) -> list[list[str]]:
    groups: list[list[str]] = [[]]
    for line in lines:
        if line:
            groups[-1].append(_BULLET.sub("", line))
        elif groups[-1]:
            groups.append([])
    return [group for group in groups if group]


def _numbered_inline(paragraph: str) -> list[str]:
    """ "1. This. 2. That." in one paragraph, where the numbers count up from one."""
    cuts, wanted = [], 1
    for found in _INLINE_NUMBER.finditer(paragraph):
        if int(found[1]) == wanted:
            cuts.append(found.start())
            wanted += 1
    if len(cuts) < 2:
        return [paragraph]
    ends = [*cuts[1:], len(paragraph)]
    return [paragraph[: cuts[0]], *(paragraph[start:end] for start, end in zip(cuts, ends, strict=True))]


def _kept_sentences(paragraph: str) -> list[str]:
    return [sentence for sentence in _SENTENCE.split(paragraph) if sentence and not _is_filler(sentence)]


def _by_connectives(sentences: Sequence[str]) -> list[str]:
    """A sentence that begins with "then" or "however" begins a step; without any, each sentence is one."""
    if not any(map(_CONNECTIVE.match, sentences)):
        return list(sentences)
    units: list[str] = []
    for sentence in sentences:
        if units and not _CONNECTIVE.match(sentence):
            units[-1] = f"{units[-1]} {sentence}"
        else:
            units.append(sentence)
    return units


def _is_filler(text: str) -> bool:
    """A heading, or words that only announce what comes."""
    stripped = text.strip()
    return (stripped.endswith((":", "\uff1a")) and len(stripped) < 80) or (
        len(stripped.split()) <= 14 and bool(_FILLER.match(stripped))
    )


def _tidy(unit: str) -> tuple[str, list[str]]:
    """A step's text without its marker and its citations, and what it cites."""
    text = " ".join(unit.split())
    before = None
    while before != text:
        before = text
        for marker in (_STEP_HEAD, _NUMBER, _BULLET, _ORDINAL):
            text = marker.sub("", text).lstrip(" :,;")
    cited = [f"e{int(number)}" for group in _CITED.findall(text) for number in _ID.findall(group)]
    text = re.sub(r"\s+([.,;:!?。，；：！？、])", r"\1", " ".join(_CITED.sub(" ", text).split()))
    text = _short(text)
    text = text if _ID.match(text) else text[:1].upper() + text[1:]
    return text, list(dict.fromkeys(cited))


def _short(text: str) -> str:
    """Whole sentences as far as they fit; of a first one that is too long, whole words."""
    if len(text) <= STEP_CHARS:
        return text
    kept = ""
    for sentence in _SENTENCE.split(text):
        if len(kept) + len(sentence) + 1 > STEP_CHARS:
            break
        kept = f"{kept} {sentence}".strip()
    return kept or f"{text[: STEP_CHARS - 2].rpartition(' ')[0] or text[: STEP_CHARS - 2]} \u2026"
