"""In which language a text is written, as far as that is sure: by its script, then by its small words.

Only an answer that is plainly in another language than the one asked for is one; a short text, names, or a
mixture count as what was asked for.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections import Counter
from functools import cache
from pathlib import Path

from schemas.languages import LANGUAGES, LATIN, scripts_of

DATA_FILE = Path(__file__).parents[1] / "data" / "languages.toml"
MAX_CHARS = 10_000  # more need not be read to tell
MIN_LETTERS = 12  # below, a script says nothing: a name, a quoted word
MIN_WORDS = 10  # below, the small words say nothing
OTHER_SCRIPT_SHARE = 0.6  # of the letters
SMALL_WORDS_SHARE = 0.2  # of all words that a text's own language has at least
MIN_MARKED, MARKED_SHARE = 3, 0.15  # words with accents: English has few of them,
ENGLISH_SHARE = 0.08  # and small words in every sentence
MARGIN = 2.5  # how many times more small words another language must have
DENSE = {"zh": 3, "ja": 3, "ko": 2, "th": 2}  # how many letters of an alphabet say what one of these says
_WORD = re.compile(r"(?<!\w)[^\W\d_]+(?:'[^\W\d_]+)*(?!\w)")  # "AU12" is none
_QUOTED = re.compile('"[^"]*"|\u201c[^\u201d]*\u201d|\u00ab[^\u00bb]*\u00bb|\u300c[^\u300d]*\u300d')
_RANGES = (
    (0x0370, 0x03FF, "Greek"), (0x0400, 0x052F, "Cyrillic"), (0x0590, 0x05FF, "Hebrew"),
    (0x0600, 0x06FF, "Arabic"), (0x0900, 0x097F, "Devanagari"), (0x0E00, 0x0E7F, "Thai"),
    (0x1100, 0x11FF, "Hangul"), (0x3040, 0x30FF, "Kana"), (0x3400, 0x9FFF, "Han"), (0xAC00, 0xD7AF, "Hangul"),
    (0x20000, 0x323AF, "Han"),
)  # fmt: skip


def other_language(text: str, asked: str) -> str:
    """What a text is written in when that is surely not the language `asked` (a code), else "".

    What it quotes was said in the recording's language, and does not count.
    """
    text = _QUOTED.sub(" ", unicodedata.normalize("NFC", text[:MAX_CHARS]))
    scripts = Counter(map(_script, filter(str.isalpha, text)))
    letters = sum(scripts.values())
    strange = {script: count for script, count in scripts.items() if script not in scripts_of(asked)}
    others = sum(strange.values())
    if letters < MIN_LETTERS:
        return ""
    if others >= OTHER_SCRIPT_SHARE * (others + (letters - others) * DENSE.get(asked, 1)):
        script = max(strange, key=lambda name: strange[name])
        return _by_words(text, asked) or f"{script} script"
    if asked == "zh" and scripts["Kana"] > 0.2 * letters:
        return LANGUAGES["ja"]
    if asked == "ja" and not scripts["Kana"]:
        return LANGUAGES["zh"]
    return _by_words(text, asked)


def _by_words(text: str, asked: str) -> str:
    words = [word.lower() for word in _WORD.findall(text.replace("\u2019", "'"))]
    if len(words) < MIN_WORDS:
        return ""
    shares = {
        code: sum(word in small for word in words) / len(words) for code, small in _small_words().items()
    }
    best = max(shares, key=lambda code: shares[code])
    marked = sum(_has_accents(word) for word in words)
    if (
        asked == "en"
        and marked >= max(MIN_MARKED, MARKED_SHARE * len(words))
        and shares["en"] < ENGLISH_SHARE
    ):
        return LANGUAGES[best] if shares[best] >= SMALL_WORDS_SHARE / 2 else "another language"
    if shares[best] < SMALL_WORDS_SHARE or shares[best] < MARGIN * shares.get(asked, 0.0):
        return ""
    return LANGUAGES[best] if best != asked else ""


def _has_accents(word: str) -> bool:
    """A lone letter is a sign, not a word; and a letter of another script is no accent."""
    return len(word) > 1 and not word.isascii() and all(_script(letter) == LATIN for letter in word)


def _script(letter: str) -> str:
    code = ord(letter)
    if code < 0x0250 or 0x1E00 <= code <= 0x1EFF:
        return LATIN
    return next((name for first, last, name in _RANGES if first <= code <= last), "another")


@cache
def _small_words() -> dict[str, frozenset[str]]:
    table = tomllib.loads(DATA_FILE.read_text(encoding="utf-8"))["words"]
    return {code: frozenset(words.split()) for code, words in table.items()}
