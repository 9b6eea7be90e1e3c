"""The words of the emotion label sets and others that mean the same, by language, to hide a label in reasons."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

from schemas.taxonomy import Taxonomy, plain

DATA_FILE = Path(__file__).parents[1] / "data" / "label_words.toml"
WITHOUT_BORDERS = frozenset({"zh", "ja", "ko"})  # there a word is looked for inside any text
OF_THE_SETS = (
    "en"  # the language in which label sets are written; their own words are hidden apart from these
)
MEANINGS = "meanings"


@cache
def hiding(taxonomy: Taxonomy, language: str) -> re.Pattern[str] | None:
    """What matches in a language every word that means what a word of a label set does; of an open one, all.

    None: the table lacks the language or, in one other than English, a word of some class (an open set may have
    any); what is left would tell the label.
    """
    table = _table()
    if language not in table:
        return None
    meant = [_meanings(word) for name in taxonomy.names for word in taxonomy.words(name)]
    if taxonomy.kind == "open" and language == OF_THE_SETS:
        meant = [set(table[language])]
    if not any(meant) or (language != OF_THE_SETS and not all(meant)):
        return None
    wanted = sorted(set.union(*meant))
    return _pattern(language, tuple(part for name in wanted for part in table[language][name]))


@cache
def _table() -> dict[str, dict[str, tuple[str, ...]]]:
    """Language -> meaning -> its words or beginnings of words; "meanings" -> meaning -> words of label sets."""
    told = tomllib.loads(DATA_FILE.read_text(encoding="utf-8"))
    return {
        language: {name: tuple(words.split()) for name, words in meanings.items()}
        for language, meanings in told.items()
    }


def _meanings(word: str) -> set[str]:
    """What a word of a label set means; none where the table lacks it."""
    known = _table()[MEANINGS].items()
    return {name for name, words in known if plain(word) in (plain(one) for one in words)}


@cache
def _pattern(language: str, parts: tuple[str, ...]) -> re.Pattern[str]:
    within = language in WITHOUT_BORDERS
    forms = [re.escape(part).replace("_", r"\s*") if within else _form(part) for part in parts]
    return re.compile("|".join(sorted(forms, key=len, reverse=True)), re.IGNORECASE)


def _form(part: str) -> str:
    core = re.escape(part.strip("~$")).replace("_", r"\s+")
    before = r"(?<!\w)\w*" if part.startswith("~") else r"(?<!\w)"
    return before + core + (r"(?!\w)" if part.endswith("$") else r"\w*")
