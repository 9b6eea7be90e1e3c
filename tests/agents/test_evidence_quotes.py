"""Quotes against transcripts: what counts as the same words, and which transcript can refute one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.evidence.quote import comparable, share_said, tokens
from schemas.records import Features
from tests.agents import cue_samples as make
from tests.agents.cue_samples import verdict


@pytest.mark.parametrize(
    ("quote", "span", "expected"),
    [
        ("I am NOT happy!", (0.0, 1.2), "supported"),
        ("not happy", (0.6, 1.2), "supported"),
        ("happy about this", (2.5, 3.5), "contradicted"),  # said, but elsewhere
        ("I am happy", (0.0, 1.2), "contradicted"),  # the negation is left out
        ("I am not at all happy", (0.0, 1.2), "contradicted"),
        ("I am not happy about that", (0.0, 2.0), "supported"),  # one word in six misheard
        ("what a day", (0.0, 2.0), "contradicted"),
        ("...", (0.0, 2.0), "not_measurable"),
    ],
)
def test_quotes(quote: str, span: tuple[float, float], expected: str) -> None:
    heard = make.asr("I am not happy about this")
    assert verdict(make.claim("quote", *span, quote=quote), heard).verdict == expected


def test_words_without_a_cue_name_are_checked_as_a_quote() -> None:
    item = make.claim("negative words", 0.0, 2.0, modality="text", quote="not happy")
    assert verdict(item, make.asr("I am not happy")).verdict == "supported"


def test_no_transcript_no_verdict() -> None:
    none = Features(subject_id="seg_1", extractor="x", version="1", stage="asr", missing="no_speech")
    found = verdict(make.claim("quote", quote="hello"), none)
    assert found.verdict == "not_measurable"
    assert "no_speech" in found.reason


def test_any_of_several_transcripts_may_support_a_quote() -> None:
    item = make.claim("quote", quote="wonderful day")
    assert verdict(item, make.asr("wander full day"), make.asr("wonderful day")).verdict == "supported"


@pytest.mark.parametrize(
    ("said", "quote", "expected"),
    [
        ("I don\u2019t know", "I do not know", "supported"),
        ("I can't", "I cannot", "supported"),
        ("I do know", "I don't know", "contradicted"),
        ("it will work", "it won't work", "contradicted"),
        ("I'm so happy", "I am so happy", "supported"),
        ("no no", "no, no, no!", "supported"),
        ("very very very good", "very good", "supported"),
        ("no way", "way", "supported"),
        ("Stra\u00dfe voller \u00c4rger", "STRASSE voller a\u0308rger", "supported"),
        ("ich habe nie so sehr gelacht", "ich habe so sehr gelacht", "contradicted"),
        ("er hat mir nichts davon erz\u00e4hlt", "er hat mir davon erz\u00e4hlt", "contradicted"),
        ("we met without him there", "we met with him there", "contradicted"),
    ],
)
def test_the_same_words_in_another_spelling(said: str, quote: str, expected: str) -> None:
    assert verdict(make.claim("quote", quote=quote), make.asr(said)).verdict == expected
    reverse = {"supported": "contradicted", "contradicted": "supported"}[expected]
    assert verdict(make.claim("quote", quote=quote, direction="absent"), make.asr(said)).verdict == reverse


NEGATED = [
    ("I dont want to go there today", "I do want to go there today"),
    ("we can see it from over here", "we cant see it from over here"),
    ("you should go there with her now", "you shouldnt go there with her now"),
    ("I don`t want to go there today", "I want to go there today"),
    ("I don t want to go there today", "I want to go there today"),
    ("I hardly know any of these people", "I know any of these people"),
    ("she barely said a word to me today", "she said a word to me today"),
    ("he seldom comes to see us here", "he comes to see us here"),
    ("I am very unhappy with all of this today", "I am very happy with all of this today"),
    ("我不喜欢今天的天气", "我喜欢今天的天气"),
    ("I do n't want to go there today", "I want to go there today"),
    ("I hardly know any of these people here by name", "oh I know any of these people here by name"),
    ("I dont really know any of these people", "I know any of these people"),
    ("all of us here do not like", "all of us here like"),
    ("this is what all of us like not", "this is what all of us like so"),
    ("我昨天去学校看书", "我昨天没去学校看书"),
    ("je ne veux pas aller chez toi demain matin", "je veux aller chez toi demain matin"),
    ("je veux pas aller chez toi demain matin", "je veux aller chez toi demain matin"),
    ("yo nunca quiero ir a la casa de mi madre", "yo quiero ir a la casa de mi madre"),
    ("eu não quero ir para casa hoje com ela", "eu quero ir para casa hoje com ela"),
    ("io non voglio andare a casa con lui oggi", "io voglio andare a casa con lui oggi"),
    ("я не хочу идти домой сегодня с ним", "я хочу идти домой сегодня с ним"),
    ("오늘은 집에 가고 싶지 않아요", "오늘은 집에 가고 싶지 아요"),
    ("मुझे आज घर नहीं जाना है उसके साथ", "मुझे आज घर जाना है उसके साथ"),
    ("bu film çok güzel değil bence kardeşim", "bu film çok güzel bence kardeşim"),
    ("أنا لا أريد أن أذهب إلى البيت اليوم", "أنا أريد أن أذهب إلى البيت اليوم"),
    ("εγώ δεν ξέρω τι να πω σε σένα", "εγώ ξέρω τι να πω σε σένα"),
    ("אני לא יודע מה להגיד לך עכשיו", "אני יודע מה להגיד לך עכשיו"),
    ("saya tidak tahu apa yang terjadi di sini", "saya tahu apa yang terjadi di sini"),
    ("én nem tudom mit mondjak neked most", "én tudom mit mondjak neked most"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "quote"), NEGATED)
def test_a_quote_that_drops_or_adds_a_negation_is_contradicted(said: str, quote: str) -> None:
    for spoken, quoted in ((said, quote), (quote, said)):
        assert verdict(make.claim("quote", quote=quoted), make.asr(spoken)).verdict == "contradicted"
        assert verdict(make.claim("quote", quote=spoken), make.asr(spoken)).verdict == "supported"


@pytest.mark.parametrize(
    ("said", "quote"),
    [
        ("je sais pas ce que tu veux", "je ne sais pas ce que tu veux"),
        ("je ne sais pas ce que tu veux", "je sais pas ce que tu veux"),
        ("je ne sais pas", "je ne sais"),
        ("je sais pas", "ne sais pas"),
        ("we dont know", "we don't know"),
        ("you cant", "you cannot"),
    ],
)
def test_a_negation_may_be_written_in_another_way(said: str, quote: str) -> None:
    assert verdict(make.claim("quote", quote=quote), make.asr(said)).verdict == "supported"


@pytest.mark.parametrize(
    ("said", "quote"),
    [
        ("voglio un altro per mia madre", "ne voglio un altro per mia madre"),
        ("je n'aime plus du tout cette maison", "j'aime plus du tout cette maison"),
    ],
)
def test_a_word_that_denies_in_some_languages_only_decides_nothing(said: str, quote: str) -> None:
    found = verdict(
        make.claim("quote", quote=quote),
        make.asr(said),
    )
    assert (found.verdict, found.measured) == ("not_measurable", None)
    assert "some languages" in found.reason


DOUBTFUL = [  # Japanese, Thai, Turkish, and French and Arabic words that deny at times
    ("明日は友達と一緒に学校へ行きません", "明日は友達と一緒に学校へ行きます"),
    ("昨日の夜は家族とご飯を食べなかったよ", "昨日の夜は家族とご飯を食べたよ"),
    ("この映画は本当に面白くないと思います", "この映画は本当に面白いと思います"),
    ("昨日見た映画は不思議な話だったと思う", "昨日見た映画はふしぎな話だったと思う"),
    ("วันนี้ฉันไม่อยากไปโรงเรียนกับเพื่อนๆ", "วันนี้ฉันอยากไปโรงเรียนกับเพื่อนๆ"),
    ("dün akşam bizim eve kimse gelmedi yağmur yağdı", "dün akşam bizim eve kimse geldi yağmur yağdı"),
    ("ben bu işi artık hiç istemiyorum anne bak", "ben bu işi artık hiç istiyorum anne bak"),
    ("dün onunla sinemaya birlikte gitmedim ağladım sonra", "dün onunla sinemaya birlikte gittim ağladım sonra"),
    ("já nevím co mám říct tobě teď", "já vím co mám říct tobě teď"),
    ("tôi không biết anh ấy là ai cả", "tôi biết anh ấy là ai cả"),
    ("je veux plus aller chez toi demain", "je veux aller chez toi demain"),
    ("je veux plus aller chez toi demain", "je veux pas aller chez toi demain"),
    ("我觉得我们的未来会非常好的", "我觉得我们的将来会非常好的"),
    ("오늘은 친구랑 같이 밥을 안 먹었어요", "오늘은 친구랑 같이 밥을 먹었어요"),
    ("那个人我觉得是不是特别好看啊", "那个人我觉得是特别好看啊"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "quote"), DOUBTFUL)
def test_where_nobody_can_tell_a_denial_by_its_letters_a_quote_is_not_measurable(
    said: str, quote: str
) -> None:
    for spoken, quoted in ((said, quote), (quote, said)):
        assert verdict(make.claim("quote", quote=quoted), make.asr(spoken)).verdict == "not_measurable"
        assert verdict(make.claim("quote", quote=spoken), make.asr(spoken)).verdict == "supported"


ALIKE = [  # a denial in other letters, or for another one; a word that only looks like one
    ("ich weiß nich was du heute von mir willst", "ich weiß nicht was du heute von mir willst"),
    ("ich hab nix davon gewusst", "ich hab nichts davon gewusst"),
    ("eu nao quero ir para casa hoje", "eu não quero ir para casa hoje"),
    ("I got nothin to say to you", "I got nothing to say to you"),
    ("I never said that to her", "I not said that to her"),
    ("я не нету видел его там вчера", "я не нет видел его там вчера"),
    ("we drove there non-stop all night", "we drove there nonstop all night"),
    ("they discover it with us now", "they cover it with us now"),
    ("hoje eu estou no carro dele", "hoje eu estou num carro dele"),
    ("no to jest bardzo dobry film", "to jest bardzo dobry film"),
    ("to no jest bardzo dobry film", "to jest bardzo dobry film"),
    ("voici la maison dont je te parle", "voici la maison donc je te parle"),
    ("오늘은 집에 가고싶지않아요 정말로", "오늘은 집에 가고 싶지 않아요 정말로"),
    ("안녕하세요 저는 김민수입니다 반가워요", "안녕하세요 저는 김민서입니다 반가워요"),
    ("لا أريد أن أذهب إلى البيت اليوم", "لَا أُرِيدُ أَنْ أَذْهَبَ إِلَى الْبَيْتِ الْيَوْم"),
    ("İstanbul çok güzel bir şehir", "istanbul çok güzel bir şehir"),
    ("the women won there again today", "the women one there again today"),
    ("I'm gonna be fine", "I am going to be fine"),
    ("noone wants this", "no one wants this"),
    ("its fine", "it's fine"),
    ("c'est pas grave", "ce n'est pas grave"),
    ("t'inquiète pas", "ne t'inquiète pas"),
    ("das hab ich nich gesagt", "das habe ich nicht gesagt"),
    ("d'you know o'clock", "d'you know o'clock"),
    ("thats what theyre after", "that's what they're after"),
    ("lets go", "let's go"),
    ("um no", "no"),
    ("I uh don't erm know", "I don't know"),
    ("ok I wanna go", "okay I want to go"),
    ("äh ich weiß nicht", "ich weiß nicht"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "quote"), ALIKE)
def test_what_turns_nothing_round_costs_no_more_than_other_words(said: str, quote: str) -> None:
    for spoken, quoted in ((said, quote), (quote, said)):
        assert verdict(make.claim("quote", quote=quoted), make.asr(spoken)).verdict == "supported"


def test_letters_that_a_recogniser_parts_are_found() -> None:
    parted = make.asr("明日 は 学校 へ 行 か な い よ")
    assert verdict(make.claim("quote", quote="学校へ行かないよ"), parted).verdict == "supported"


TRUE = [
    "明日は行かないけど今日は行くよ",
    "ben gelmedim ama sen geldin değil mi",
    "मुझे नहीं पता कि वह क्यों नहीं आया",
    "nunca quiero ir a la casa de mi madre",
    "no I hardly know any of these people and they do not know me either",
    "I was unhappy then and never happy again but now I am happy",
    "je ne sais pas pourquoi il n'aime plus du tout cette maison sans jardin",
    "我不喜欢今天的天气可是我没办法",
    "오늘은 집에 가고 싶지 않아요 그리고 못 가요",
    "it is not that I can not not do it not now",
]


@pytest.mark.parametrize("text", TRUE)
def test_every_stretch_of_what_was_said_is_supported_whatever_negations_stand_beside_it(text: str) -> None:
    said = comparable(text)
    for first in range(len(said)):
        for last in range(first + 1, len(said) + 1):
            assert share_said(said[first:last], said) == 1.0, said[first:last]


@given(st.lists(st.sampled_from("abcdef"), min_size=4), st.integers(min_value=0), st.booleans())
def test_a_word_misheard_at_an_edge_costs_itself_where_nothing_denies(
    said: list[str], at: int, at_start: bool
) -> None:
    first = at % (len(said) - 3)
    quote = said[first : first + 4]
    quote[0 if at_start else -1] = "misheard"
    assert share_said(quote, said) == 0.75


@pytest.mark.parametrize(
    ("said", "quote"), [("20 dollars", "twenty dollars"), ("twenty dollars", "20 dollars")]
)
def test_a_number_in_digits_refutes_no_number_in_words(said: str, quote: str) -> None:
    found = verdict(make.claim("quote", quote=quote), make.asr(said))
    assert (found.verdict, found.measured) == ("not_measurable", None)
    assert "digits" in found.reason
    assert verdict(make.claim("quote", quote="20 dollars"), make.asr("30 dollars")).verdict == "contradicted"


def heard(text: str, *notes: str) -> Features:
    return make.asr(text).model_copy(update={"notes": notes})


@pytest.mark.parametrize("direction", ["present", "absent"])
def test_a_transcript_of_low_quality_refutes_nothing(direction: str) -> None:
    weak = heard("the the a lot a he", "low_quality_asr")
    item = make.claim("quote", quote="that is wonderful news", direction=direction)
    found = verdict(item, weak)
    assert (found.verdict, found.measured) == ("not_measurable", None)
    assert "low quality" in found.reason
    good = heard("please sit down")
    assert verdict(item, weak, good).verdict == {"present": "contradicted", "absent": "supported"}[direction]


def test_a_transcript_of_low_quality_may_support() -> None:
    weak = heard("that is wonderful news", "low_quality_asr")
    item = make.claim("quote", quote="wonderful news")
    assert verdict(item, weak).verdict == "supported"
    assert verdict(item, weak, heard("please sit down")).verdict == "supported"


@pytest.mark.parametrize("note", ["word_times_spread_over_speech", "word_times_shared_out_in_cue"])
def test_word_times_that_nobody_measured_refute_no_quote(note: str) -> None:
    text = "I am not happy about this"
    early = make.claim("quote", 0.0, 0.3, quote="about this")
    assert verdict(early, heard(text)).verdict == "contradicted"
    found = verdict(early, heard(text, note))
    assert found.verdict == "not_measurable"
    assert "estimates" in found.reason
    assert verdict(make.claim("quote", quote="what a day"), heard(text, note)).verdict == "contradicted"


words = st.lists(st.sampled_from(["a", "b", "c", "not", "ne", "pas", "ni", "happy", "unhappy"]), max_size=8)


@given(words, words, words)
def test_words_that_were_said_are_found_wherever_they_stand(
    before: list[str], quote: list[str], after: list[str]
) -> None:
    share = share_said(quote, [*before, *quote, *after])
    assert share == (1.0 if quote else 0.0)


@given(words, words)
def test_share_said_is_a_share(quote: list[str], heard: list[str]) -> None:
    assert 0 <= share_said(quote, heard) <= 1


def test_tokens() -> None:
    assert tokens("Don\u2019t, STOP -- me!") == ["don't", "stop", "me"]
    assert tokens("我很高兴 ok") == ["我", "很", "高", "兴", "ok"]


def test_share_said_by_hand() -> None:
    assert share_said(tokens("ask what you can do"), tokens("so ask what we can do now")) == pytest.approx(
        0.8
    )


def test_what_is_said_by_a_filler_alone_is_a_word() -> None:
    assert (comparable("Um..."), comparable("um, hm")) == (["um"], ["hm"])


def test_comparable_by_hand() -> None:
    assert comparable("No, no -- I WON'T, it's Tom's!") == ["no", "i", "will", "not", "it", "is", "tom", "is"]


@given(words, words)
def test_any_number_only_adds(quote: list[str], heard: list[str]) -> None:
    assert share_said(quote, heard, any_number=True) == share_said(quote, heard)
    assert share_said([*quote, "7"], heard, any_number=True) >= share_said([*quote, "7"], heard)


@pytest.mark.parametrize(
    ("quote", "direction", "expected"),
    [
        ("I am so glad", "present", "supported"),
        ("I hate it", "present", "contradicted"),
        ("I hate it", "absent", "supported"),
        ("so glad I hate", "present", "contradicted"),
    ],
)
def test_what_somebody_else_said_is_no_quote_of_the_target(quote: str, direction: str, expected: str) -> None:
    heard = make.asr("I am so glad I hate it")
    found = verdict(
        make.claim("quote", 0.0, 3.0, quote=quote, direction=direction),
        heard,
        words_of_others=heard.words[4:],
    )
    assert found.verdict == expected
    if quote == "I hate it":
        assert "somebody else said it" in found.reason
