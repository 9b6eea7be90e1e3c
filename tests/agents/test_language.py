"""Another language is told when it is plain, and never when it is doubtful."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.answers.language import other_language
from agents.questions.prompting import annotation_request
from schemas.languages import LANGUAGES
from tests.agents.hostile_base import FOREIGN
from tests.wire.material import make_sample, section, taxonomy

SENTENCES = {
    "en": "The person smiles broadly and her voice is louder than usual, because she is glad about the result.",
    "de": "Die Person lächelt breit und ihre Stimme ist lauter als sonst, weil sie sich über das Ergebnis freut.",
    "fr": "La personne sourit et sa voix est plus forte que d'habitude, parce qu'elle est contente du résultat.",
    "es": "La persona sonríe y su voz es más fuerte de lo normal, porque está contenta con el resultado.",
    "it": "La persona sorride e la sua voce è più forte del solito, perché è contenta del risultato che ha.",
    "pt": "A pessoa sorri e a sua voz é mais alta do que o normal, porque ela não está triste com o resultado.",
    "nl": "De persoon lacht en haar stem is luider dan normaal, omdat zij blij is met het resultaat van de dag.",
    "sv": "Personen ler och hennes röst är högre än vanligt, eftersom hon är glad för att det har gått bra.",
    "pl": "Osoba uśmiecha się szeroko, a jej głos jest głośniejszy niż zwykle, bo cieszy się z wyniku.",
    "tr": "Kişi gülümsüyor ve sesi her zamankinden daha yüksek, çünkü bu sonuç için çok mutlu olarak görünüyor.",
    "vi": "Người này mỉm cười và giọng nói của cô ấy to hơn bình thường vì cô ấy rất vui với kết quả này.",
    "ru": "Она широко улыбается, и её голос громче обычного, потому что она рада этому результату.",
    "zh": "她微笑着说话，声音比平时大，因为她对结果很满意。",
    "ja": "彼女は微笑んでいて、結果に満足しているので、声がいつもより大きいです。",
    "ko": "그녀는 결과에 만족해서 미소를 짓고 목소리가 평소보다 더 큽니다.",
    "ar": "تبتسم المرأة ويرتفع صوتها أكثر من المعتاد لأنها سعيدة بالنتيجة",
}
NEAR = {"es": ("it", "pt"), "it": ("es", "pt"), "pt": ("es", "it")}


@pytest.mark.parametrize("asked", SENTENCES)
def test_each_language_is_itself_and_no_other(asked: str) -> None:
    assert other_language(SENTENCES[asked], asked) == ""
    doubtful = NEAR.get(asked, ())  # one sentence may not tell these apart
    others = {c: other_language(text, asked) for c, text in SENTENCES.items() if c not in (asked, *doubtful)}
    assert all(others.values()), others


@pytest.mark.parametrize(
    "text",
    [
        "",
        "joy",
        "AU12, AU06: 0.5-1.5 s",
        "Lächeln",
        "Ja!",
        "微笑",
        "Smile, loud voice, raised pitch, brow lowered",
        'She says "Ich weiß nicht, was ich dir sagen soll, das ist zu viel" and smiles while her voice is high.',
        'He says "我哪知道啊？我也没有这方面" with a flat voice and looks away from her.',
        "José and François Müller greet Zoë Łukasz in the café near the garage of Dvořák.",
    ],
)
def test_what_is_short_quoted_or_a_name_is_accepted(text: str) -> None:
    assert other_language(text, "en") == ""


def test_no_real_english_is_taken_for_another_language(media: Callable[[str], Path]) -> None:
    table = media("../tables/meld_dev_sent_emo.csv").read_text(encoding="utf-8", errors="replace")
    lines = csv.DictReader(table.splitlines())
    rows = [json.loads(line) for line in media("../tables/emobench_EA.jsonl").read_text("utf-8").splitlines()]
    english = [line["Utterance"] for line in lines] + [r["scenario"] for r in rows if r["language"] == "en"]
    assert len(english) > 1300
    assert [text for text in english if other_language(text, "en")] == []
    chinese = [row["scenario"] for row in rows if row["language"] == "zh"]
    assert [text for text in chinese if other_language(text, "zh")] == []
    assert sum(bool(other_language(text, "en")) for text in chinese) >= 0.99 * len(chinese)


@given(st.text(max_size=200), st.sampled_from(sorted(LANGUAGES)))
def test_any_text_has_an_answer(text: str, asked: str) -> None:
    assert other_language(text, asked) == other_language(text, asked)
    assert other_language(text[:10], asked) == ""


def test_the_prompt_asks_for_the_language_and_the_question_names_it() -> None:
    english, german = (
        annotation_request(make_sample(), taxonomy(), section(answer_language=code)) for code in ("en", "de")
    )
    assert "in English" in english.system
    assert "in German" in german.system
    assert english.digest != german.digest


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown language 'xx'"):
        section(answer_language="xx")


def test_the_foreign_answers_of_the_fuzzer_are_foreign() -> None:
    assert all(other_language(text, "en") for text in FOREIGN)


def test_stray_signs_are_no_accents() -> None:
    noise = (
        "follows so seems it rises so \u4f60 eyes so narrow pause narrow seems \u00e9: so \u00e9\u4f60 \u4f60"
    )
    assert other_language(noise, "en") == ""
