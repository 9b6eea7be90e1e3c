"""Words that turn a sentence round, by language: what a quote may neither drop nor add."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

_SURE = """
en: not no never none nobody nothing nowhere neither nor without nope noone nothin nuthin
en: hardly barely scarcely rarely seldom
de: nicht nichts nich nix nie niemals niemand niemanden niemandem nirgends nirgendwo ohne kaum weder nein
de: kein keine keinen keinem keiner keines
fr: pas jamais rien aucun aucune sans guère guere non nullement
es: nunca jamás jamas nada nadie ningún ningun ninguno ninguna ningunos ningunas tampoco
pt: não nao nunca nada ninguém nenhum nenhuma nem sem jamais tampouco
it: non niente nulla nessuno nessuna nessun senza neanche nemmeno neppure
nl: niet niets niks nooit niemand nergens geen zonder nauwelijks
sv: inte int ingen inget inga aldrig ingenting
da: ikke ingen intet aldrig ingenting uden
no: ikke ingen aldri ingenting uten
pl: nie nigdy nic nikt bez żaden zaden
ru: не нет нету ни никогда ничего никто нигде без нельзя
uk: не ні ніколи нічого ніхто без
zh: 不 没 沒 未 勿
ko: 않 없
tr: değil yok asla hayır hiçbir
ar: لا لم لن ليس ليست لست بدون بلا مش ولا ولم ولن وليس فلا فلم
hi: नहीं नही बिना
el: δεν μη μην όχι ούτε χωρίς
he: לא אין בלי אינו אינה
id: tidak tanpa jangan
hu: nem sem nincs soha nélkül
"""
# Words that deny in one language, or in some words, and mean something else elsewhere: of a quote that differs
# in one of them nobody can tell without knowing more.
_UNSURE_WORDS = """
ne ni né nah nee mai sin neni personne point plus apenas utan hiç न ना मत ما غير
别 別 无 無 非 莫 안 못 아니 không chẳng chưa bukan ない なかっ なく ません ไม่ อย่า
"""
_UNSURE = frozenset(_UNSURE_WORDS.split())
_SURE_WORDS = frozenset(word for line in _SURE.strip().splitlines() for word in line[3:].split())
# What is written in letters that stand alone elsewhere: denials of Japanese, Thai and Korean, and words of
# Chinese and Korean that hold the sign of a denial and deny nothing, or ask ("是不是").
_JOINED = re.compile(
    r"(?<!\S)(?:ま せ ん|な か っ|な い|な く|ไ ม ่|อ ย ่ า|아 니|안 (?:녕|에|경|전|내|심)|잘 못"
    r"|未 来|未 來|不 (?:过|過|错|錯|但|仅|僅|管|断|斷|同|好 意 思)|差 不 多|[对對] 不 起"
    r"|(?P<asked>\S) [不没沒] (?P=asked))(?!\S)"
)
_HAN_DENIAL, _KANA = re.compile("[不没沒未勿]"), re.compile("[\u3041-\u30ff]")
# Words beside which "no" is a preposition (Portuguese) or a "well" (Polish, Czech)
_NO_IS_NO_DENIAL = """
não nao uma você vocês eu ele ela em é muito isso ao foi meu minha são estou
się jest że tak jak jsem jsme není
"""
_NO_ELSEWHERE = frozenset(_NO_IS_NO_DENIAL.split())
_TURKISH, _TURKISH_DENIAL = re.compile("[ığş]"), re.compile("m[aeıiuü]?|[ae]m")
_CZECH_PREFIX, _SHORTEST_VERB = "ne", 3  # Czech and Slovak: "vím" and "nevím"
_PREFIXES = ("un", "dis", "non")  # "happy" and "unhappy"
_SHORTEST_STEM = 4  # letters: "der" and "under" are no opposites
# No opposites: "play" and "display"
_STEMS = """
card case charge close count course cover cuss ease fall grace guise gust kosten miss mount order patch
pense play pose pute solve stop tance tract tress
"""
_NO_OPPOSITES = frozenset(_STEMS.split())
_OPTIONAL = "ne*"  # the first half of a French negation, which speech leaves out
_PAIRED = re.compile(r"(?<!\S)ne(?=(?: \S+){1,4}? (?:pas|jamais|rien|aucune?|guère|personne|nulle)(?!\S))")


def marked(words: Sequence[str]) -> list[str]:
    """`words` with the "ne" of a French "ne ... pas" marked, and what is written in several letters joined."""
    joined = _JOINED.sub(lambda match: match[0].replace(" ", ""), " ".join(words))
    return _PAIRED.sub(_OPTIONAL, joined).split()


def change(wanted: str, word: str, costs: Mapping[str, int], *, unsure: bool) -> int:
    """What it costs that `word` stands where `wanted` is quoted.

    A denial for another one turns nothing round: it costs what any word does.
    """
    if wanted == word or {wanted, word} == {"ne", _OPTIONAL}:
        return 0
    dearest = max(costs[wanted], costs[word], 1)
    if dearest == 1:
        return 1
    sure, doubtful = (len({wanted, word} & each) for each in (_SURE_WORDS, _UNSURE))
    return 1 if sure == 2 or (sure and doubtful and not unsure) else dearest


def costs(quote: Sequence[str], said: Sequence[str], *, unsure: bool) -> dict[str, int]:
    """What each word costs that one side has and the other has not.

    The whole quote for a negation (`unsure`: for doubtful ones, too) and for a word whose opposite the other side
    has, nothing for a word that may be left out, else 1.
    """
    words, whole = {*quote, *said}, len(quote)
    doubtful = _doubtful(words)
    found = {word: whole if word in _SURE_WORDS else 1 for word in words}
    found |= dict.fromkeys(doubtful, whole if unsure else 1)
    if "no" in found and words & _NO_ELSEWHERE:
        found["no"] = 1
    for word in words & {prefix + each for each in words for prefix in _PREFIXES}:
        stem = next(word.removeprefix(prefix) for prefix in _PREFIXES if word.startswith(prefix))
        if len(stem) >= _SHORTEST_STEM and stem not in _NO_OPPOSITES:
            found[word] = found[stem] = whole
    return {**found, _OPTIONAL: 0}


def _doubtful(words: AbstractSet[str]) -> set[str]:
    """Those that may deny, and may not."""
    found = set(words & _UNSURE)
    japanese = any(map(_KANA.search, words))
    found |= {word for word in words if _HAN_DENIAL.search(word) and (japanese or len(word) > 1)}
    for word in words & {_CZECH_PREFIX + each for each in words if len(each) >= _SHORTEST_VERB}:
        found |= {word, word.removeprefix(_CZECH_PREFIX)}
    if any(map(_TURKISH.search, words)):
        found |= _turkish(words)
    return found


def _turkish(words: AbstractSet[str]) -> set[str]:
    """Verbs of which one is the other with the syllable of a denial: "geldi" and "gelmedi"."""
    kept = {word.replace("d", "t"): word for word in words}
    return {
        one
        for word in words
        for denial in _TURKISH_DENIAL.finditer(word)
        for end in range(denial.start() + 1, denial.end() + 1)
        if denial.start() > 1 and (other := kept.get((word[: denial.start()] + word[end:]).replace("d", "t")))
        for one in (word, other)
    }
