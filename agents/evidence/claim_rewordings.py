"""Expressions of free-text claims that are said anew in words of the cue table before anything is looked for.

Those are ways to say "not" without the word, what is one word and seen in two places, and what means something
else than its words. All of them are looked for in `plain` text, in this order.
"""

from __future__ import annotations

import re

_SMILE = r"(?P<smile>smil(?:e|es|ed|ing)|grins?|grinned|grinning)"
_SMILES = r"(?:smil(?:e|es|ed|ing)|grins?|grinned|grinning)"
_FELT = r"(?:genuine|genuinely|sincere|sincerely|felt|duchenne|authentic)"
_UNFELT = (
    r"(?:fake|faked|false|falsely|forced|feigned|phony|insincere|insincerely|artificial|unfelt|disingenuous"
    rf"|pasted-on|plastered-on|non-duchenne|not (?:an? )?(?:\w+ )?{_FELT})"
)
_IS = r"(?: (?:that|which))? (?:is|are|was|looks|seems|appears|feels)"
_THEIR = r"(?:his|her|their|the)"
# A "not" of ours holds for what stands between these marks alone: "a fake smile or a frown" denies no frown.
OPEN, CLOSE = "\u27e8", "\u27e9"
_NO_PARTED_LIPS = f"{OPEN}not parted lips{CLOSE}"
_WITH, _WITHOUT = r"\g<smile> with raised cheeks", rf"\g<smile> {OPEN}not raised cheeks{CLOSE}"
_STAYS = r"(?:is |are |was |were |stays? |remains? |kept |firmly |tightly )*"
_DO_NOT = r"(?:(?:do|does|did) not|never)"
_NEVER = r"(?:(?:do|does|did|is|was|will|can|could|would) not|never|cannot)(?: \w+ly)?"
_SPEAKING = "".join(f"(?<!{word} )" for word in ("speak", "speaks", "speaking", "talk", "talks", "talking"))
# "Does not say anything" is silence where nothing more is said of it: not before "wrong", "about", "or nod".
_AT_ALL = (
    r"(?![^.;!?]*\bor\b)(?=\s*(?:$|[,.;!?])| as (?!\w+ as\b)| (?:and|while|then|for (?:an?|some|the)"
    r"|at (?:first|all|the)|in (?:the|response|reply|return)"
    r"|before|until|throughout|initially|when|after|during)\b"
    r"| but (?!yes\b)(?:(?:instead|only|just|simply|then|still) )?(?:s?he|they|\w+(?:[^s]s|ed))\b)"
)

_CHANGE = r"(?:variations?|variability|modulations?|inflections?)"
_OF_PITCH = rf"(?:in|of) (?:{_THEIR} )?(?:pitch|tone|intonation|voice)"
_VARIETY = rf"(?:(?:pitch|tonal|vocal|intonation|prosodic|tone) {_CHANGE}|{_CHANGE} {_OF_PITCH})"
_BE = r"(?:is|was|remains|stays|seems|appears)(?: very| quite| rather| relatively)?"
_LITTLE = (
    r"(?:little|limited|minimal|no|without|lack(?:s|ing)?|devoid|hardly|barely|few|low|lower|small|narrow"
    r"|reduced|decreased)(?: (?:of|any|much|an?|the))*"
)
_MUCH = (
    r"(?:(?:an?|much|great|greater|large|wide|wider|considerable|significant|strong|noticeable|more|high|higher"
    r"|increased|marked|frequent|lots of|lot of) )*"
)
_WEAK = (
    r"(?:slight|slightly|subtle|subtly|moderate|moderately|mild|minor|modest|faint|some|normal|natural|average|typical"
    r"|decreasing|diminishing|declining|waning|lessening|increasing"
    r"|(?:loss|decrease|reduction|drop|decline|increase|change|degree|amount|hint) (?:of|in)(?: the| any)?)"
)
_A_LITTLE = r"(?:slightly|moderately|subtly|mildly|somewhat|a (?:little|bit))"
_INFLECTION = rf"(?:(?:pitch|tonal|vocal|prosodic|tone) inflections?|inflections? {_OF_PITCH})"
_PEOPLE = r"(?:m[ae]n|wom[ae]n|girls?|boys?|person|people|speaker|one|someone|somebody|friend|interviewer)"
_SIDEWAYS = r"(?:from )?(?:side to side|left to right|back and forth)"

_NOT_SAID_SO = (
    (r"\bwhether or not\b", "whether"),
    (r"\b(?:for no (?:\w+ )?reason|no doubt|no wonder|to no avail)\b", ""),
    (r"\b(?:at|to|towards?|for) (?:nobody|no one) in particular\b", ""),
    (rf"\b{_SPEAKING}(?:at|to|towards?) (?:nobody|no one)\b(?! else)", ""),
    (rf"\b{_NEVER} (?:fail(?:s|ed|ing)? to|(?:refrain(?:s|ed|ing)?|keeps?|kept) from)\b", ""),
    (rf"\b{_NEVER} avoid(?:s|ed|ing)? (?=(?:an? )?(?:\w+ing|smile|grin|frown|nod)\b)", ""),
    (r"\bnot (?:entirely |completely )?(?:devoid of|free (?:of|from))\b", "with"),
    (r"\bnot far from\b", "almost"),
    (r"\b(?:no|not an?|without) (?:lack|absence|shortage) of\b", "much"),
    (r"\b(?:not|never) (?:absent|missing|lacking)\b", "present"),
    (rf"\b{_DO_NOT} (?:do|show) anything (?:but|except|other than)\b", "does nothing but"),
    (r"\b(?:can|could) ?not help (?:but )?", ""),
    (r"\b(?:(?:can|could|does|do|did|will) not|never) stop(?:s|ped)?\b", "keeps"),
    (r"\bnot (?:only|just|merely|simply)\b", ""),
    (r"\bnot without\b", "with"),
    (r"\bno(?:thing)? more than\b", ""),
    (r"\bnothing (?=(?:suggest|indicat|impl|hint|reveal|show)\w*\b)", "no sign "),
    (r"\bnot (?:nearly |quite |half )?(?:as|so) (\w+)(?: as)?\b", r"not \1"),
    (r"\bas \w+ as (?:usual|before|always|ever)\b", "average"),
    (r"\b(?:anything but|far from(?! the\b)|devoid of|free (?:of|from)|refrain(?:s|ed|ing)? from)\b", "not"),
    (r"\b(?:fail(?:s|ed|ing)? to|avoid(?:s|ed|ing)?(?= \w+ing\b)|(?:keeps?|kept) from)\b", "not"),
    (r"\b(?:except|apart from|other than|aside from)(?: for)?\b", "but"),
    (r",? (?:such as|including|e\.g\.,?)(?= )|, like(?= an?\b)", " of"),
    (r"\b((?:after|following) (?:an?|some|the) (?:\w+ ){0,3}(?:pause|silence|hesitation)),? ", r"\1, "),
    (r"\bless loud(?:ly)?\b", "quieter"),
)
_SILENT = (
    (rf"\b{_DO_NOT} (?:say|utter|speak) (?:anything|(?:an?|one) (?:single )?word)\b{_AT_ALL}", "is silent"),
    (rf"\b(?:{_DO_NOT} (?:speak|talk)|no ?(?:body|one) (?:speaks|talks|says anything))$", "is silent"),
    (rf"\bsa(?:ys?|id|ying) nothing\b{_AT_ALL}|\bno speech$|\bno speech (?=is|can)", "is silent"),
    (r"\b(?:barely|hardly|scarcely) audibl[ey]\b", "quiet"),
)
_MELODY = (  # of a "melody" nothing is known
    (rf"(?<!and )(?<!or )\b(?:upward|rising|ascending) {_INFLECTION}\b", "rising intonation"),
    (rf"(?<!and )(?<!or )\b(?:downward|falling|descending) {_INFLECTION}\b", "falling intonation"),
    (rf"\b{_VARIETY} (?:is|was|does|did) not (?:very |so )?(?:high|great|large|wide)\b", "not varied pitch"),
    (rf"\b{_VARIETY} (?:(?:is|was|does|did|seems|appears) not \w+|{_BE} (?:{_WEAK}|lost))\b", "melody"),
    (rf"\b{_VARIETY} (?:decreas|declin|diminish|drop|lessen|increas|grow|fad|wan)(?:e?s|ed|ing)\b", "melody"),
    (rf"\b{_WEAK} (?:(?:but|and|to) \w+ )?{_VARIETY}\b", "melody"),
    (rf"\b(?:pitch|intonation|tone) (?:varies|changes) (?:only )?{_A_LITTLE}\b", "melody"),
    (
        rf"\b{_A_LITTLE} (?:varied|varying|expressive|animated|modulated|lively) (?:pitch|intonation|tone)\b",
        "melody",
    ),
    (rf"\b{_VARIETY} {_BE} (?:low|little|small|limited|minimal|narrow|reduced)\b", "monotone"),
    (rf"\b{_VARIETY} {_BE} (?:high|great|large|wide|considerable|strong)\b", "varied pitch"),
    (rf"\b{_LITTLE} (?:{_VARIETY}|inflections?|intonation)\b", "monotone"),
    (r"\b(?:pitch|intonation) (?:hardly|barely|scarcely) (?:varies|changes)\b", "monotone"),
    (rf"\b{_MUCH}{_VARIETY}\b", "varied pitch"),
    (r"\bfrom (?:low|lower) to (?:high|higher)\b", "rises"),
    (r"\bfrom (?:high|higher) to (?:low|lower)\b", "falls"),
)
_HEAD = (
    (r"\bhead (?:moves|moving|bobs|bobbing|goes) updown\b", "head nods"),
    (rf"\b(?:moves|moving|bobs|bobbing) {_THEIR} head updown\b", "nods"),
    (rf"\bhead (?:moves|moving|swings|turns) {_SIDEWAYS}\b", "head shakes"),
    (rf"\b(?:moves|moving|swings|turns|turning) {_THEIR} head {_SIDEWAYS}\b", "shakes head"),
)
# Not "with her eyes closed".
_WITH_EYES = (
    rf"with {_THEIR} eyes\b(?=\s*(?:$|[,.;!?])| (?:and|but|while|as|when|at|too|not|rather|throughout)\b)"
)
_FACE = (
    (r"\b((?:eye)?brows?(?: \w+){0,3}) (?:in|towards?|at|near) the (?:middle|cent(?:er|re))\b", r"inner \1"),
    (rf"\binner (?:corner|end|part|portion|edge)s? of (?:{_THEIR} |both )*(?:eye)?brows\b", "inner brows"),
    (rf"\b(?:lips?|mouth) \w+ (?:up )?(?:in)?to (?:an? )?(?=(?:\w+ )?{_SMILES}\b)", ""),
    (rf"(?<!not )(?<!never )(?<!no )(?<!without )\b{_SMILE} {_WITH_EYES}", r"\g<smile> with crinkled eyes"),
    (rf"\b{_SMILES} {_WITH_EYES}|\bsmiling eyes\b|\beyes (?:are )?smil(?:e|ing)\b", "crinkled eyes"),
    (
        rf"\b(?:{_THEIR} )?(?:mouth|lips) {_STAYS}(?:closed|shut|sealed)\b"
        r"|(?<!no )(?<!without )\bclosed (?:mouth|lips)\b",
        _NO_PARTED_LIPS,
    ),
)
# A felt smile also raises the cheeks, a false one does not: Ekman and Friesen 1982, DOI 10.1007/BF00987191.
_SMILE_KINDS = (
    (
        rf"\b{_SMILE}(?: (?:that|which))? (?:(?:is|was) not|(?:does|did) not (?:look|seem|appear|feel))"
        rf" (?:\w+ )?{_UNFELT}\b",
        r"\g<smile>",
    ),
    (rf"\b(?:not|never) {_SMILE} (?:insincerely|falsely)\b", r"\g<smile>"),
    (rf"\b{_SMILE}(?: (?:that|which))? {_DO_NOT} (?:\w+ )?reach(?:es|ed)? {_THEIR} eyes\b", _WITHOUT),
    (rf"\b{_SMILE}(?: (?:that|which))? reach(?:es|ed|ing) {_THEIR} eyes\b", _WITH),
    (rf"\b{_SMILE}{_IS} (?:rather |somewhat |quite )?{_UNFELT}\b", _WITHOUT),
    (
        rf"(?<!no )(?<!any )(?<!without )(?<!not )(?<!not a )(?<!not an )"
        rf"\b{_UNFELT}(?:-looking)? (?:\w+ )?{_SMILE}\b",
        _WITHOUT,
    ),
    (rf"\bforc(?:es|ed|ing) (?:(?:him|her|them)sel(?:f|ves) to |an? ){_SMILE}\b", _WITHOUT),
    (rf"\b{_SMILE} (?:insincerely|falsely)\b", _WITHOUT),
    (rf"\b{_SMILE}{_IS} {_FELT}\b", _WITH),
    (rf"(?<!no )(?<!any )(?<!without )\b{_FELT} (?:\w+ )?{_SMILE}\b", _WITH),
    (rf"\b{_SMILE} (?:genuinely|sincerely)\b", _WITH),
)
# Of whom a clause is, when it is not the one who is looked at: "smiles at the man who shouts".
_OF_OTHERS = (
    (
        r"\b(?:at|to|towards?|from|by|of|for) (?:(?:an?|the|another|his|her|their) )?(?:\w+ )?"
        rf"{_PEOPLE} (?:who|that)\b",
        ", the other person",
    ),
)
_REWORDINGS = tuple(
    (re.compile(pattern), means)
    for pattern, means in (*_SILENT, *_NOT_SAID_SO, *_MELODY, *_HEAD, *_SMILE_KINDS, *_FACE, *_OF_OTHERS)
)


def reworded(text: str) -> str:
    """The text in other words, where the table has them: "a fake smile" is one without raised cheeks."""
    for pattern, means in _REWORDINGS:
        text = pattern.sub(means, text)
    return text
