"""Which backend is taken, and what the user is told when none can be."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest

from pipeline.features import EXTRACTORS, backends, environments
from pipeline.features.asr_weights import WHISPER_REPOSITORIES
from pipeline.features.backends import AUTO, FACTS, built, list_backends
from pipeline.features.environments import prepare_environments
from pipeline.features.select import backend_names, pick_extractor
from pipeline.features.transcripts import GivenText
from pipeline.features.worker import build_environment
from schemas.errors import ItemError, UserError
from schemas.settings import FeatureSection
from tests.features.tiny_whisper import make_tiny_whisper


@pytest.fixture(autouse=True)
def _empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own models must not change these tests."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


SMALL_WORKER = """# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["idna"]
# ///
"""


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "talk.mp4"
    path.touch()
    return path


def test_words_come_from_a_transcript_if_one_stands_beside(recording: Path) -> None:
    recording.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhi\n")
    assert pick_extractor("asr", "auto", {}, recording).name == "sidecar"
    assert pick_extractor("asr", "sidecar", {}, recording).name == "sidecar"
    assert pick_extractor("asr", "pocketsphinx", {}, recording).name == "pocketsphinx"


def test_words_without_transcript_or_weights_are_pocketsphinx(recording: Path) -> None:
    assert pick_extractor("asr", "auto", {}, recording).name == "pocketsphinx"
    picked = pick_extractor("asr", "auto", {"padding_s": 0.2, "beam_size": 3}, recording)
    assert picked.params == {"padding_s": 0.2, "language": None, "denoise": "auto/1:afftdn/1"}


def test_words_with_weights_are_whisper(recording: Path, tmp_path: Path) -> None:
    weights = str(make_tiny_whisper(tmp_path / "tiny"))
    picked = pick_extractor("asr", "auto", {"weights": weights, "padding_s": 0.2}, recording)
    assert (picked.name, picked.params["beam_size"]) == ("faster_whisper", 5)
    recording.with_suffix(".vtt").write_text("WEBVTT\n")
    assert pick_extractor("asr", "auto", {"weights": weights}, recording).name == "sidecar"


def test_weights_that_are_not_where_they_should_be(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="missing") as caught:
        pick_extractor("asr", "auto", {"weights": str(tmp_path / "nowhere")}, recording)
    assert caught.value.code == "weights_missing"
    with pytest.raises(UserError, match="hf download"):
        pick_extractor("asr", "faster_whisper", {}, recording)


def test_the_language_chooses_the_transcript(recording: Path) -> None:
    for language in ("de", "en"):
        recording.with_suffix(f".{language}.vtt").write_text("WEBVTT\n")
    with pytest.raises(ItemError, match="several transcripts"):
        pick_extractor("asr", "auto", {}, recording)
    assert pick_extractor("asr", "auto", {}, recording, language="en").name == "sidecar"
    assert pick_extractor("asr", "auto", {"language": "de"}, recording).name == "sidecar"


def test_the_language_of_the_recording_is_an_option_of_who_listens(recording: Path, tmp_path: Path) -> None:
    def params(requested: str, options: dict[str, object]) -> dict[str, object]:
        return pick_extractor("asr", requested, options, recording, language="de").params

    assert params("auto", {})["language"] == "de"
    assert params("pocketsphinx", {"language": None})["language"] == "de"
    assert params("pocketsphinx", {"language": "en"})["language"] == "en"
    weights = str(make_tiny_whisper(tmp_path / "tiny"))
    assert params("auto", {"weights": weights})["language"] == "de"
    assert params("faster_whisper", {"weights": weights, "language": "en"})["language"] == "en"
    assert "language" not in pick_extractor("prosody", "core", {}, recording, language="de").params


def test_words_are_whisperx_when_all_that_it_needs_is_here(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligner = tmp_path / "aligner"
    aligner.mkdir()
    for name in ("config.json", "model.safetensors"):
        (aligner / name).write_text("{}")
    weights = str(make_tiny_whisper(tmp_path / "tiny"))
    options = {"weights": weights, "align_weights": {"de": str(aligner)}, "batch_size": 2}

    def picked(language: str | None = None) -> str:
        return pick_extractor("asr", "auto", options, recording, language=language).name

    worker = tmp_path / "whisperx_asr.py"
    worker.write_text(SMALL_WORKER)
    monkeypatch.setattr(backends, "WORKERS", tmp_path)
    built.cache_clear()
    assert picked("de") == "faster_whisper"  # its environment is not made
    build_environment(worker)
    built.cache_clear()
    assert [picked("de"), picked("de-AT"), picked()] == ["whisperx"] * 3
    assert picked("nl") == "faster_whisper"  # no alignment model
    recording.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhi\n")
    assert picked("de") == "sidecar"
    built.cache_clear()


def test_a_named_environment_is_made_before_the_first_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "whisperx_asr.py"
    worker.write_text(SMALL_WORKER)
    monkeypatch.setattr(backends, "WORKERS", tmp_path)
    monkeypatch.setattr(environments, "WORKERS", tmp_path)
    built.cache_clear()
    told: list[str] = []

    def prepare(**options: object) -> None:
        section = FeatureSection.model_validate({"backend": "whisperx", **options})
        prepare_environments({"asr": section}, lambda name, text: told.append(f"{name}: {text}"))

    with pytest.raises(UserError, match="no complete CTranslate2"):
        prepare(weights=str(tmp_path))
    prepare(enabled=False)
    assert told == []
    weights = str(make_tiny_whisper(tmp_path / "tiny"))
    prepare(weights=weights)
    (line,) = told
    assert line.startswith("asr.whisperx: installing an environment")
    assert "7.2 GB" in line
    prepare(weights=weights)
    assert told == [line]
    built.cache_clear()


def test_weights_that_come_to_the_cache_later_are_found(recording: Path, tmp_path: Path) -> None:
    assert pick_extractor("asr", "auto", {}, recording).name == "pocketsphinx"
    folder = tmp_path / "hub" / f"models--{WHISPER_REPOSITORIES['base'].replace('/', '--')}"
    make_tiny_whisper(folder / "snapshots" / "abc")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("abc")
    assert pick_extractor("asr", "auto", {}, recording).name == "faster_whisper"


def test_a_transcript_of_the_manifest_comes_after_one_beside_the_recording(recording: Path) -> None:
    assert pick_extractor("asr", "auto", {}, recording, transcript=GivenText("hi there")).name == "manifest"
    recording.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nhi\n")
    assert pick_extractor("asr", "auto", {}, recording, transcript=GivenText("hi there")).name == "sidecar"
    assert (
        pick_extractor("asr", "manifest", {}, recording, transcript=GivenText("hi there")).name == "manifest"
    )


@pytest.mark.parametrize(("requested", "part"), [("sidecar", "talk.srt"), ("manifest", "transcript column")])
def test_a_named_transcript_that_is_not_there_fails_this_recording_only(
    recording: Path, requested: str, part: str
) -> None:
    with pytest.raises(ItemError) as caught:
        pick_extractor("asr", requested, {}, recording)
    assert part in caught.value.retry


def test_a_folder_that_is_gone_has_no_transcript(tmp_path: Path) -> None:
    assert pick_extractor("asr", "auto", {}, tmp_path / "gone" / "talk.mp4").name == "pocketsphinx"


def test_voice_is_core(recording: Path) -> None:
    picked = pick_extractor("prosody", "auto", {"min_pause_s": 0.4}, recording)
    assert (picked.stage, picked.name, picked.params["min_pause_s"]) == ("prosody", "core", 0.4)


@pytest.mark.parametrize(
    ("stage", "requested", "options", "code", "part"),
    [
        ("prosody", "ear", {}, "unknown_backend", "known: auto, core, csv, opensmile, praat"),
        (
            "asr",
            "whisper",
            {},
            "unknown_backend",
            "auto, faster_whisper, manifest, meld, pocketsphinx, sidecar, whisperx",
        ),
        ("smell", "auto", {}, "unknown_stage", "asr, au, diarize, pose, prosody, series"),
        ("prosody", "core", {"pitch": 3}, "unknown_option", "pitch_floor_hz"),
        ("prosody", "auto", {"pitch": 3}, "unknown_option", "pitch_floor_hz"),
        ("asr", "auto", {"beam": 3}, "unknown_option", "beam_size"),
        ("asr", "sidecar", {"beam": 3}, "unknown_option", "language"),
        ("prosody", "core", {"voicing": "loud"}, "bad_option", "voicing"),
        ("asr", "pocketsphinx", {"denoise": "magic"}, "bad_option", "known: auto, none, afftdn"),
    ],
)
def test_mistakes_are_one_clear_line(
    recording: Path, stage: str, requested: str, options: dict[str, object], code: str, part: str
) -> None:
    with pytest.raises(UserError) as caught:
        pick_extractor(stage, requested, options, recording)
    assert caught.value.code == code
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_registered_backend_is_described() -> None:
    assert set(FACTS) == set(EXTRACTORS)
    assert {key.partition(".")[0] for key in EXTRACTORS} == {"diarize", "asr", *AUTO}
    assert all(name in backend_names(stage) for stage, name in AUTO.items())
    rows = {(row["stage"], row["name"]): row for row in list_backends()}
    assert len(rows) == len(EXTRACTORS)
    assert not rows["asr", "faster_whisper"]["reachable"]
    assert "hf download" in rows["asr", "faster_whisper"]["download"]
    heavy = {("asr", "faster_whisper"), ("asr", "whisperx"), ("diarize", "pyannote"), ("au", "pyfeat")}
    heavy |= {("prosody", "praat"), ("prosody", "opensmile")}
    assert all(row["reachable"] for key, row in rows.items() if key not in heavy)
    assert "non-commercial" in rows["au", "pyfeat"]["licence"]
    assert "hf download" in rows["au", "pyfeat"]["download"]
    assert rows["asr", "pocketsphinx"]["licence"].startswith("BSD")
    assert all(row["licence"] and row["note"] for row in rows.values())
