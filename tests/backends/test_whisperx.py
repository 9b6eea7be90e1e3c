"""WhisperX as published, in its own environment, with weights made on the spot that say one sentence."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.features.asr_aligners import HUB_MODELS, TORCH_MODELS
from pipeline.features.asr_whisperx import SCRIPT, WhisperX, WhisperXParams
from pipeline.features.base import Clip
from pipeline.features.worker import build_environment, uv_binary
from schemas.errors import ItemError, UserError
from schemas.records import Features
from tests.features.tiny_whisper import SENTENCE, make_tiny_whisper
from tests.features.voice_media import load, make_clip, recorded
from tests.pipeline.project import done_well, emotrace, ingested, stored

HERE = Path(__file__).parent
PUNKT_FILES = ("collocations.tab", "sent_starters.txt", "abbrev_types.txt", "ortho_context.tab")
Media = Callable[[str], Path]
Result = Features | ItemError


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter of the speech worker's environment, which is made when it is not there."""
    build_environment(SCRIPT)
    command = [uv_binary(), "python", "find", "--script", str(SCRIPT)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def run_inside(python: str, script: str, *arguments: str | Path) -> str:
    """What a script of this folder prints in the worker's environment."""
    done = subprocess.run(
        [python, str(HERE / script), *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="session")
def aligner(python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("aligner")
    run_inside(python, "tiny_aligner.py", folder)
    return folder


@pytest.fixture(scope="session")
def english(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("english"))


@pytest.fixture(scope="session")
def german(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Multilingual: whatever it hears is German."""
    return make_tiny_whisper(tmp_path_factory.mktemp("german"), "de")


def hear(clips: Mapping[str, Clip], weights: Path, **options: Any) -> dict[str, Result]:
    """Name -> result of each clip, all in one shard."""
    asr = WhisperX(WhisperXParams(weights=str(weights), **options))
    names = {clip.segment.id: name for name, clip in clips.items()}
    return {names[clip.segment.id]: result for clip, result in asr.extract(list(clips.values()))}


def words_of(result: Result) -> list[str]:
    assert isinstance(result, Features), result
    return [word.text for word in result.words]


def three_clips(media: Media) -> dict[str, Clip]:
    """Real speech of two lengths (the longer is two stretches for Whisper), silence, and what cannot be read."""
    return {
        "jfk": recorded(media("audio/jfk.flac")),
        "ami": recorded(media("audio/ami_dev00.wav")),
        "bad": make_clip(np.zeros((2, 16_000), np.float32), start_s=1.0),
        "read": recorded(media("audio/LJ050-0131.wav")),
        "silence": make_clip(np.zeros(16_000, np.float32), speech=(), start_s=2.0),
    }


@pytest.fixture(scope="module")
def english_results(english: Path, aligner: Path, request: pytest.FixtureRequest) -> dict[str, Result]:
    media: Media = request.getfixturevalue("media")
    return hear(three_clips(media), english, align_weights={"en": str(aligner)}, language="en-US")


def test_it_writes_its_sentence_and_aligns_it(english_results: dict[str, Result]) -> None:
    for name in ("jfk", "read"):
        result = english_results[name]
        assert words_of(result) == list(SENTENCE)
        assert isinstance(result, Features)
        assert result.notes == ("language:en",)
        edges = [edge for word in result.words for edge in (word.start_s, word.end_s)]
        assert edges == sorted(edges)
        assert all(word.confidence is not None for word in result.words)


def test_one_bad_clip_does_not_cost_the_shard(english_results: dict[str, Result]) -> None:
    bad = english_results["bad"]
    assert isinstance(bad, ItemError)
    assert bad.code == "clip_failed"
    silence = english_results["silence"]
    assert isinstance(silence, Features)
    assert silence.missing == "silence"


def test_the_words_are_those_of_whisperx_itself(
    english_results: dict[str, Result],
    python: str,
    english: Path,
    aligner: Path,
    media: Media,
    tmp_path: Path,
) -> None:
    home = tmp_path / "nltk" / "tokenizers" / "punkt_tab" / "english"
    home.mkdir(parents=True)
    for name in PUNKT_FILES:
        (home / name).touch()
    np.save(tmp_path / "audio.npy", load(media("audio/jfk.flac")))
    arguments = (tmp_path / "audio.npy", english, aligner, "pyannote", tmp_path / "nltk")
    published = json.loads(run_inside(python, "published_whisperx.py", *arguments).splitlines()[-1])
    ours = english_results["jfk"]
    assert isinstance(ours, Features)
    assert [(w.text, w.start_s, w.end_s, w.confidence) for w in ours.words] == [
        (w["word"], w["start"], w["end"], w["score"]) for w in published["words"]
    ]
    assert published["hub"] == HUB_MODELS
    assert published["torch"] == {language: name for language, (name, _) in TORCH_MODELS.items()}


def test_a_language_that_is_heard_without_an_aligner_gets_whispers_own_times(
    german: Path, aligner: Path, media: Media
) -> None:
    clip = recorded(media("audio/jfk.flac"))
    result = hear({"jfk": clip}, german, align_weights={"en": str(aligner)})["jfk"]
    assert words_of(result) == list(SENTENCE)
    assert isinstance(result, Features)
    assert result.notes == ("language:de", "language_detected", "word_times_by_attention")
    begin_s = result.words[0].start_s
    for word in result.words:
        told = (word.start_s - begin_s, word.end_s - begin_s)
        assert told == pytest.approx(SENTENCE[word.text], abs=0.1)
        assert (word.confidence or 0) > 0.9


def test_a_word_of_digits_has_a_time_and_no_confidence(aligner: Path, media: Media, tmp_path: Path) -> None:
    sentence = {"just": (0.0, 1.0), "42": (1.0, 2.0), "people.": (2.0, 3.0)}
    weights = make_tiny_whisper(tmp_path / "digits", sentence=sentence)
    clip = recorded(media("audio/jfk.flac"))
    options: dict[str, Any] = {"align_weights": {"en": str(aligner)}, "language": "en", "vad": "silero"}
    result = hear({"jfk": clip}, weights, **options)["jfk"]
    assert words_of(result) == list(sentence)
    assert isinstance(result, Features)
    assert [word.confidence is None for word in result.words] == [False, True, False]
    assert result.words[0].end_s <= result.words[1].start_s < result.words[2].start_s
    assert result.notes == ("language:en", "words_without_confidence:1")


@pytest.mark.parametrize(
    ("options", "code", "part"),
    [
        ({"device": "cuda"}, "no_gpu", 'device = "cpu"'),
        ({"compute_type": "int3"}, "bad_option", "int8"),
    ],
)
def test_what_holds_for_every_clip_is_one_line_with_a_remedy(
    english: Path, options: dict[str, Any], code: str, part: str, media: Media
) -> None:
    if options.get("device") == "cuda" and shutil.which("nvidia-smi"):
        pytest.skip("this machine has a GPU")
    with pytest.raises(UserError) as caught:
        hear({"jfk": recorded(media("audio/jfk.flac"))}, english, align=False, **options)
    assert caught.value.code == code
    assert part in caught.value.remedy
    assert "\n" not in str(caught.value)


def test_an_aligner_that_cannot_be_loaded_is_named(
    english: Path, aligner: Path, media: Media, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(aligner, tmp_path / "broken"))
    (broken / "model.safetensors").write_bytes(b"not a model")
    options: dict[str, Any] = {"align_weights": {"en": str(broken)}, "language": "en"}
    with pytest.raises(UserError, match="alignment model for 'en'") as caught:
        hear({"jfk": recorded(media("audio/jfk.flac"))}, english, **options)
    assert caught.value.code == "weights_unreadable"
    assert "align = false" in caught.value.remedy


SETTINGS = """
[project]
name = "speech"
language = "en"
[segment]
rule = "whole"
[features.asr]
backend = "whisperx"
weights = {weights!r}
align_weights = {{en = {aligner!r}}}
[features.au]
enabled = false
"""


@pytest.mark.usefixtures("python")
def test_a_run_takes_words_from_it_and_says_so(
    english: Path, aligner: Path, media: Media, tmp_path: Path
) -> None:
    recordings = [media("audio/jfk.flac"), media("video/wh_address_d.mp4")]
    settings = SETTINGS.format(weights=str(english), aligner=str(aligner))
    project = ingested(tmp_path / "project", settings, *recordings)
    report = done_well(emotrace("run", "--project", project, "--local", "--json"))
    assert report["failed_items"] == []
    with stored(project) as store:
        heard = [one for one in store.all(Features) if one.stage == "asr"]
    assert [one.extractor for one in heard] == ["whisperx", "whisperx"]
    assert [words_of(one) for one in heard] == [list(SENTENCE)] * 2
    assert len({one.weights_digest for one in heard}) == 1
