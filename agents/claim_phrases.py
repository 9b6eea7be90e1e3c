"""Phrases of free-text claims: those that mean two things at once, and those after which nothing is claimed.

All of them are looked for in `plain` text.
"""

from __future__ import annotations

import re

_SMILE = r"(?P<smile>smil(?:e|es|ed|ing)|grins?|grinned|grinning)"
_FELT = r"(?:genuine|genuinely|sincere|sincerely|felt|duchenne|authentic)"
_UNFELT = (
    r"(?:fake|faked|false|falsely|forced|feigned|phony|insincere|insincerely|artificial|unfelt|disingenuous"
    rf"|pasted-on|plastered-on|non-duchenne|not (?:an? )?(?:\w+ )?{_FELT})"
)
_IS = r"(?: (?:that|which))? (?:is|are|was|looks|seems|appears|feels)"
_OF_THEIRS = r"(?:his|her|their|the)"
_WITH, _WITHOUT = r"\g<smile> with raised cheeks", r"\g<smile> without raised cheeks"
_STAYS = r"(?:is |are |was |were |stays? |remains? |kept |firmly |tightly )*"

# What is said in one word and seen in two places. A felt smile also raises the cheeks, a false one does not:
# Ekman and Friesen 1982, DOI 10.1007/BF00987191.
_REWORDINGS = tuple(
    (re.compile(pattern), means)
    for pattern, means in (
        (r"\b(?:can|could) ?not help (?:but )?", ""),
        (rf"\b{_SMILE}(?: (?:that|which))? (?:does|do|did) not (?:\w+ )?reach {_OF_THEIRS} eyes\b", _WITHOUT),
        (rf"\b{_SMILE}(?: (?:that|which))? reach(?:es|ed|ing) {_OF_THEIRS} eyes\b", _WITH),
        (rf"\b{_SMILE}{_IS} (?:rather |somewhat |quite )?{_UNFELT}\b", _WITHOUT),
        (rf"\b{_UNFELT}(?:-looking)? (?:\w+ )?{_SMILE}\b", _WITHOUT),
        (rf"\bforc(?:es|ed|ing) (?:(?:him|her|them)sel(?:f|ves) to |an? ){_SMILE}\b", _WITHOUT),
        (rf"\b{_SMILE} (?:insincerely|falsely)\b", _WITHOUT),
        (rf"\b{_SMILE}{_IS} {_FELT}\b", _WITH),
        (rf"(?<!no )(?<!any )(?<!without )\b{_FELT} (?:\w+ )?{_SMILE}\b", _WITH),
        (rf"\b{_SMILE} (?:genuinely|sincerely)\b", _WITH),
        (rf"\b(?:mouth|lips) {_STAYS}(?:closed|shut|sealed)\b|\bclosed (?:mouth|lips)\b", "no parted lips"),
    )
)

# Not the one of "right after"; when it is done is cut out of the text before.
_RIGHT_SIDE = (
    r"\b(?:the|his|her|their|its) right\b|\bright (?!away\b|now\b|then\b|there\b)\w"
    r"|\b(?:turn|tilt|look|lean|glanc|mov|fac)\w*(?: \w+){0,3} right\b"
)
_TONE = "(?:pace|rate|speed|tempo|volume|loudness|pitch|tone|voice)"
_ONE_OF = "(?:the |an? |his |her |their )?"
# What follows says neither that the cue is there nor that it is not.
_VOIDING = tuple(
    (why, re.compile(pattern))
    for why, pattern in (
        (
            "whether it is done is not said",
            r"\b(?:suppress|stifl|conceal|refus|restrain|resist|attempt|struggl|hid(?:e|es|ing|den)\b"
            r"|(?:try|tries|tried|trying|wants?|wanting|about) (?:hard )?(?:not )?to\b"
            r"|(?:hold|fight|bit|bite|chok|forc)(?:s|es|ing|ed)? back\b|(?:held|fought) back\b)|^if\b",
        ),
        (
            "it is only hinted at",
            r"\b(?:barely|hardly|scarcely)\b|\b(?:almost|nearly) (?:smil|grin|frown|nod|laugh)"
            r"|\b(?:hint|trace|ghost|shadow|suggestion) of (?:an? )?(?:\w+ )?(?:smile|grin|smirk|frown)\b"
            r"|\bhalf[ -](?:smil|grin|frown)",
        ),
        (
            "that something ends is not measured",
            r"\b(?:stop(?:s|ping|ped)?|ceases?|vanish(?:es)?|disappears?|longer)\b",
        ),
        ("what else it does is not measured", r"\b(?:reach(?:es|ing)?|touches)\b"),
        (
            "how often is not measured",
            r"(?<!\ba )\b(?:few|fewer)\b(?! syllables)|\b(?:rare|rarely|seldom|infrequent|infrequently)\b",
        ),
        (
            "a middle level is no claim",
            rf"\b(?:medium|normal|average|neutral|ordinary)\b|\bmoderate (?:{_TONE}|speech)\b"
            rf"|\b{_TONE} (?:is|was|stays|remains) moderate\b",
        ),
        (
            "one side of the face is not told from the other",
            rf"\b(?:left|one-sided|asymmetric|lopsided)\b|{_RIGHT_SIDE}"
            r"|(?<!\bto )\bone (?:eye|brow|eyebrow|corner|side)\b",
        ),
        (
            "it is about somebody else",
            rf"^{_ONE_OF}(?:other|second) (?:man|woman|girl|boy|person|people|speaker|one)\b"
            rf"|^{_ONE_OF}(?:interviewer|interlocutor|audience|crowd|listeners?|bystanders?)\b",
        ),
        (
            "whether there is another smile is not said",
            rf"\b(?:no|without|lacks?|lacking) (?:an? |any )?{_FELT} (?:\w+ )?{_SMILE}\b",
        ),
    )
)


def reworded(text: str) -> str:
    """The text with what is seen in two places said of both: "a fake smile" is one without raised cheeks."""
    for pattern, means in _REWORDINGS:
        text = pattern.sub(means, text)
    return text


def why_void(part: str) -> str:
    """Why a part of a sentence claims nothing; "" when it may."""
    return next((why for why, pattern in _VOIDING if pattern.search(part.strip())), "")
