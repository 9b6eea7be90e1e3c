"""Words that turn a sentence round, by language: what a quote may neither drop nor add."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SURE = """
en: not no never none nobody nothing nowhere neither nor without nope noone
en: hardly barely scarcely rarely seldom
de: nicht nichts nie niemals niemand niemanden niemandem nirgends nirgendwo ohne kaum weder nein
de: kein keine keinen keinem keiner keines
fr: pas jamais rien aucun aucune sans guère non nullement
es: nunca jamás nada nadie ningún ninguno ninguna ningunos ningunas tampoco apenas
pt: não nunca nada ninguém nenhum nenhuma nem sem jamais tampouco
it: non niente nulla nessuno nessuna nessun senza neanche nemmeno neppure
nl: niet niets nooit niemand nergens geen zonder nauwelijks
sv: inte ingen inget inga aldrig ingenting utan
da: ikke ingen intet aldrig ingenting uden
no: ikke ingen aldri ingenting uten
pl: nie nigdy nic nikt bez żaden
ru: не нет ни никогда ничего никто нигде без нельзя
uk: не ні ніколи нічого ніхто без
zh: 不 没 沒 未 勿
"""
# Words that deny in one language, or in some words, and mean something else elsewhere: of a quote that differs
# in one of them nobody can tell without knowing more.
_UNSURE = frozenset(
    ["ne", "ni", "né", "nah", "nee", "mai", "sin", "neni", "personne", "point", *"别別无無非莫안"]
)
_DENYING = frozenset(word for line in _SURE.strip().splitlines() for word in line[3:].split())
_KOREAN = re.compile("[않없]|^못")  # the stem of a verb that denies, whatever its ending
_PREFIXES = ("un", "dis", "non")  # "happy" and "unhappy"
_SHORTEST_STEM = 4  # letters: "der" and "under" are no opposites
_OPTIONAL = "ne*"  # the first half of a French negation, which speech leaves out
_PAIRED = re.compile(r"(?<!\S)ne(?=(?: \S+){1,4}? (?:pas|jamais|rien|aucune?|guère|personne|nulle)(?!\S))")


def paired(words: Sequence[str]) -> list[str]:
    """`words` with the "ne" of a French "ne ... pas" marked: it may be left out."""
    return _PAIRED.sub(_OPTIONAL, " ".join(words)).split()


def same(a: str, b: str) -> bool:
    return a == b or {a, b} == {"ne", _OPTIONAL}


def costs(quote: Sequence[str], said: Sequence[str], *, unsure: bool) -> dict[str, int]:
    """What each word costs that one side has and the other has not.

    The whole quote for a negation (`unsure`: for doubtful ones, too) and for a word whose opposite the other side
    has, nothing for a word that may be left out, else 1.
    """
    denying = _DENYING | _UNSURE if unsure else _DENYING
    found = {word: len(quote) if word in denying or _KOREAN.search(word) else 1 for word in {*quote, *said}}
    for word in found.keys() & {prefix + each for each in found for prefix in _PREFIXES}:
        stem = next(word.removeprefix(prefix) for prefix in _PREFIXES if word.startswith(prefix))
        if len(stem) >= _SHORTEST_STEM:
            found[word] = found[stem] = len(quote)
    return {**found, _OPTIONAL: 0}
