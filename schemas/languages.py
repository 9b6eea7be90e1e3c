"""Languages in which models may be asked to write: code -> English name, and the scripts it is written in."""

from __future__ import annotations

LANGUAGES: dict[str, str] = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}

LATIN = "Latin"
SCRIPTS: dict[str, tuple[str, ...]] = {
    "ar": ("Arabic",), "el": ("Greek",), "he": ("Hebrew",), "hi": ("Devanagari",), "th": ("Thai",),
    "ja": ("Han", "Kana"), "ko": ("Hangul",), "zh": ("Han",), "ru": ("Cyrillic",), "uk": ("Cyrillic",),
}  # fmt: skip


def scripts_of(language: str) -> tuple[str, ...]:
    return SCRIPTS.get(language, (LATIN,))


def known_language(code: str) -> str:
    """The code, for pydantic to check.

    Raises:
        ValueError: an answer in this language could not be told from one in another.
    """
    if code not in LANGUAGES:
        raise ValueError(f"unknown language {code!r}; known are {', '.join(LANGUAGES)}")
    return code
