"""What comes out of recordings, files and other models' answers, made harmless before it stands in a prompt.

Such text is data. It must not open or close a role tag, look like a column of ours, hide from people what a model
reads, or hold a word that a server takes for a change of roles (`<|im_start|>`, `[INST]`, `<start_of_turn>`):
many servers do not escape those in what they are given. The words stay, and so does every letter, so that a quote
of what was shown is still found in the transcript.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

# Each stands for one character of the original, which the record itself keeps. NFKC, which some tokenizers apply,
# changes none of them.
STAND_INS = {"<": "\u2039", ">": "\u203a", "[": "\u27e6", "]": "\u27e7", "|": "\u00a6"}
_UNSTORABLE = re.compile("[\ud800-\udfff\x00]")  # neither UTF-8 nor every database can hold these
LINE_CHARS = 2_000  # one word, one turn, one claim
CLAIM_CHARS = 500  # of one text of an annotator
SECTION_CHARS = 60_000  # some 2,400 words with their times, a quarter of an hour of speech

# Every character that NFKC makes one of these: full-width and small forms.
_TABLE = {
    code: stand_in
    for code in (*range(0x80), *range(0xFE30, 0xFE70), *range(0xFF00, 0xFFF0))
    if (stand_in := STAND_INS.get(unicodedata.normalize("NFKC", chr(code))))
}
# Controls, marks of direction, and characters without a picture that can carry hidden text: fillers (Hangul,
# Khmer, Braille), joiners of shorthand and hieroglyphs, tags, variation selectors (a row of them is a message).
# The joiners U+200C and U+200D stay between two signs: Persian, scripts of India and emoji are spelt with them.
_UNSEEN = re.compile(
    "[\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_STRAY_JOINERS = re.compile(
    "(?<!\\S)[\u200c\u200d]+|[\u200c\u200d]+(?!\\S)|(?<=[\u200c\u200d])[\u200c\u200d]+"
)


def storable(text: str) -> str:
    """The text with lone surrogates and NUL replaced by U+FFFD, so that it can be encoded and stored."""
    return _UNSTORABLE.sub("\ufffd", text)


def clean(text: str) -> str:
    """Text of a recording on one line, without what cannot be seen, unable to open or close anything."""
    return re.sub(r"\s+", " ", visible(storable(text))).strip().translate(_TABLE)


def visible(text: str) -> str:
    """The text without controls, marks of direction and characters that have no picture."""
    return _STRAY_JOINERS.sub("", _UNSEEN.sub("", text))


def short(text: str) -> str:
    """Text of an annotator, short enough that what stands behind it in its line is shown, too."""
    return clean(text)[:CLAIM_CHARS]


def cut(line: str) -> str:
    """A line of at most `LINE_CHARS`; an ellipsis says that there was more."""
    return line if len(line) <= LINE_CHARS else f"{line[: LINE_CHARS - 2]} \u2026"


class Body(NamedTuple):
    """The lines of a section that are shown, and how many are not, or not whole."""

    lines: list[str]
    left_out: int


def within(lines: Sequence[str], *, latest: bool = False) -> Body:
    """As many lines as `SECTION_CHARS` allow, the first ones, or the `latest`; what is left out is said."""
    kept: list[str] = []
    room = SECTION_CHARS
    for line in map(cut, reversed(lines) if latest else lines):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    dropped = len(lines) - len(kept)
    if latest:
        kept.reverse()
    shortened = sum(len(line) > LINE_CHARS for line in (lines[dropped:] if latest else lines[: len(kept)]))
    if dropped:
        note = f"cut: {dropped} {'earlier' if latest else 'further'} lines are left out here"
        kept = [note, *kept] if latest else [*kept, note]
    return Body(kept, dropped + shortened)
