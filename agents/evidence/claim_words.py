"""Words of free-text claims: how they are made comparable, and which of them turn a claim round or void it."""

from __future__ import annotations

import csv
import re
import unicodedata
from functools import cache
from pathlib import Path
from typing import NamedTuple

UNMEASURED_FILE = Path(__file__).parents[2] / "schemas" / "data" / "unmeasured.csv"


def group(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Words that carry nothing of a claim.
FILLERS = group(
    """a an the his her hers their its my your our he she they it i we you him them himself herself
    this that these those there here who which whose is are was were be been being am has have had
    having do does did can could will would may might must shall should to of in on at by for from
    into with onto upon than then as so such very slightly somewhat quite rather clearly clear bit
    little lot more most much some any both all again also too just still man woman person speaker
    subject target boy girl guy lady people someone seen visible visibly noticeable noticeably
    evident observed heard shown present active activated appears appear appearing seems seem looks-
    like usual shows show showing displays display gives give giving makes make
    making say says said only point certain moderate almost nearly once over time
    and"""
)
NEGATIONS = group(
    "no not never without neither nor none nobody nowhere lacks lack lacking absence absent cannot"
)
# A synonym with one of these is a name to be found whole: taken to pieces it would lose what it says.
UNSAYING = NEGATIONS | group("nothing little hardly barely")
# Of manners: beside something seen they say how that is done ("nods slowly"), unless speech is named as well.
MANNERS = group(
    "quick quickly fast faster slow slowly slower rapid rapidly soft softly quiet quietly hurried"
)
SPOKEN = group(
    """speak talk speech voice vocal sound tone word pitch volume pace tempo rate delivery delivered
    answers responds replies asks reads utters sentence phrase line"""
)
BRIEF = re.compile(
    r"\b(?:briefly|momentarily|fleetingly|for (?:a|one) (?:brief |short )?(?:moment|second|instant))\b"
)
BRIEF_WORDS = group("brief briefly momentary fleeting")
UP = group("high higher raised elevated increased wide wider great greater strong above")
DOWN = group("low lower lowered reduced decreased narrow narrower small weak below")
IRREGULAR = {
    "spoke": "speak", "spoken": "speak", "rose": "rise", "risen": "rise", "fell": "fall", "fallen": "fall",
    "shook": "shake", "shaken": "shake", "drawn": "draw", "drew": "draw", "hung": "hang", "knitted": "knit",
    "shut": "shut", "wider": "wide", "eyebrow": "brow", "eyebrows": "brow", "eyelid": "lid", "eyelids": "lid",
    "grew": "grow", "became": "become", "went": "go", "shot": "shoot", "bent": "bend", "smiley": "smile",
    "notes": "note", "upward": "up", "upwards": "up", "downward": "down", "downwards": "down",
    "shaky": "shake", "shakily": "shake", "cries": "cry",
}  # fmt: skip
# Nouns of one sense: beside a cue of another they say that the word was meant otherwise ("a trembling lip").
SEEN = group(
    """lip lips mouth chin jaw brow brows eye eyes lid lids cheek cheeks nose forehead head gaze face
    hand hands arm shoulder body finger knee leg smile"""
)
HEARD = group("voice pitch tone speech intonation tempo volume loudness")
# What a sentence says of a part is said of the next part as well when that has no word of this kind.
NOUNS = SEEN | HEARD | group("corner corners rate pace range variability intensity pause upper inner")
GENERIC = group("speak talk voice sound speech")

WHOLE = group("raiser note bitter")  # the muscle's name is no chin that is raised, a note is no "not"
_SUFFIXES = ("ing", "ed", "ly", "er", "es", "en", "s", "e")


@cache
def stem(word: str) -> str:
    """A word without its endings: "raises", "raised" and "raising" are one."""
    word = IRREGULAR.get(word, word)
    while word not in WHOLE:
        for suffix in _SUFFIXES:
            if word.endswith(suffix) and len(word) - len(suffix) >= (3 if suffix != "e" else 2):
                shorter = word[: -len(suffix)]
                if suffix in ("ing", "ed", "er") and len(shorter) > 3 and shorter[-1] == shorter[-2]:
                    shorter = shorter[:-1]
                break
        else:
            return word
        word = shorter
    return word


def plain(text: str) -> str:
    """One case, one form of apostrophes, quotation marks and "not"."""
    text = unicodedata.normalize("NFKC", text).casefold()
    text = text.replace("\u2019", "'").replace("\u2018", "'")
    text = re.sub("[\u201c\u201d\u201e\u00ab\u00bb\u300c\u300d]", '"', text)
    text = re.sub(r"\bcan't\b", "can not", re.sub(r"\bwon't\b", "will not", text))
    return " ".join(re.sub(r"n't\b", " not", text).split())


def unbroken(text: str) -> str:
    """`plain` text in which "and" joins parts alone: "louder and louder" is "ever louder"."""
    return re.sub(
        r"\bup and down\b|\bdown and up\b", "updown", re.sub(r"\b(\w+er) and \1\b", r"ever \1", text)
    )


def words_of(text: str) -> list[str]:
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", text)


def stems_of(text: str) -> tuple[str, ...]:
    """The stems of the words that carry something, in order; ways to say "briefly" are one."""
    text = BRIEF.sub(" brief ", unbroken(plain(text)))
    found = ("brief" if word in BRIEF_WORDS else word for word in words_of(re.sub(r"'s\b", "", text)))
    return tuple(stem(word) for word in found if word not in FILLERS)


def stemmed(words: frozenset[str]) -> frozenset[str]:
    return frozenset(map(stem, words))


class Unmeasured(NamedTuple):
    """Stems that stand together, why nothing measures them, and the modality whose cues they void."""

    stems: frozenset[str]
    reason: str
    voids: str


@cache
def unmeasured() -> tuple[Unmeasured, ...]:
    """What models like to claim and nothing here measures."""
    with UNMEASURED_FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return tuple(
        Unmeasured(frozenset(stems_of(words)), row["reason"], row["voids"])
        for row in rows
        for words in row["words"].split("|")
    )


@cache
def reasons() -> frozenset[str]:
    """Why something is not measured."""
    return frozenset(one.reason for one in unmeasured())
