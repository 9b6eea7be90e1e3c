"""Phrases of free-text claims after which nothing is claimed. They are looked for in `plain` text."""

from __future__ import annotations

import re

_SMILE = r"smil(?:e|es|ed|ing)|grins?|grinned|grinning"
# Of a smile or frown that is denied: that it is none of this kind does not say that there is none.
_PLAINLY = (
    r"(?:of|an?|any|the|his|her|their|real|actual|single|visible|noticeable|clear|obvious|apparent|evident|discernible"
    r"|slight|faint|small|soft|gentle|brief|fleeting|quick|broad|wide|big|steady|sustained|constant|lasting"
    rf"|{_SMILE}|sign|signs|hint|trace|evidence|indication)\b"
)
# Of a smile that "is not warm" only these say that there is none.
SEEN = (
    r"(?:visible|present|seen|there|observed|observable|apparent|evident|noticeable|detected|detectable|discernible"
    r"|shown|active|appear|show|form|emerge|occur|come|cross|play|break|light|spread)\b"
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
            r"|(?:hold|fight|bit|bite|chok|forc)(?:s|es|ing|ed)? (?:back|in)\b|(?:held|fought) (?:back|in)\b"
            r"|mask(?:s|ed|ing)?\b|pretend|on the (?:verge|brink)\b|threaten(?:s|ed|ing)? to\b|ready to\b"
            r"|(?:if|unless|whether|would|typically|usually|normally)\b|expect)",
        ),
        (
            "it is only hinted at",
            r"\b(?:barely|hardly|scarcely)\b"
            r"|\b(?:almost|nearly) (?:an? )?(?:smil|grin|frown|nod|laugh|clos|shut|open)"
            r"|\b(?:hint|trace|ghost|shadow|suggestion) of (?:an? )?(?:\w+ )?(?:smile|grin|smirk|frown)\b"
            r"|\bhalf[ -](?:smil|grin|frown)",
        ),
        (
            "that something ends is not measured",
            r"\b(?:stop(?:s|ping|ped)?|ceases?|vanish(?:es)?|disappears?|longer|until|till)\b"
            r"|\bbr(?:eak|eaks|oke|eaking) (?:the |his |her |their )?silence\b|\bsilence (?:is|was) broken\b",
        ),
        ("what else it does is not measured", r"\b(?:reach(?:es|ing)?|touches)\b"),
        (
            "how much less is no claim",
            r"\bless\b|\bmore (?:of )?an? \w+ than\b|(?<!\ba )(?<!\bvery )\blittle\b",
        ),
        ("lines of the skin are not measured", r"\b(?:smile|frown|laugh) lines?\b"),
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
            rf"\b(?:left|one-sided|asymmetric\w*|lopsided|crooked)\b|{_RIGHT_SIDE}"
            r"|(?<!\bto )\bone (?:eye|brow|eyebrow|corner|side)\b",
        ),
        (
            "it is about somebody else",
            r"\b(?:nobody|no one|someone|somebody|everyone|anyone) else\b"
            rf"|^{_ONE_OF}(?:other|second) (?:man|woman|girl|boy|person|people|speaker|one)\b"
            rf"|^{_ONE_OF}(?:interviewer|interlocutor|audience|crowd|listeners?|bystanders?)\b",
        ),
        (
            "whether there is another smile is not said",
            r"\b(?:(?:no|without|lacks?|lacking)(?: an?| any)?|not (?:an?|any)) "
            rf"(?!{_PLAINLY})\w+ (?:\w+ )?(?:{_SMILE}|frown)\b"
            r"|\b(?:smiles?|grins?|frowns?) (?:is|was|are|were|does|did|do|looks|seems) not "
            rf"(?!(?:\w+ )?{SEEN})\w",
        ),
    )
)


def why_void(part: str) -> str:
    """Why a part of a sentence claims nothing; "" when it may."""
    return next((why for why, pattern in _VOIDING if pattern.search(part.strip())), "")
