"""Every recording with known truth goes from ingest to a verified release with the right facts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.commands.show import show
from pipeline.project import open_project
from tests.pipeline.project import done_well, emotrace

ENDINGS = {".mp4", ".mov", ".mpg", ".wav", ".flac", ".m4a", ".jpg"}
WHITE_HOUSE = {f"wh_address_{letter}.mp4" for letter in "abcd"}
GRID = {f"grid_{name}.mpg" for name in ("bbaf2n", "brbk7n", "lbax4n", "lrwp9a", "swiz3n")}
EMODB = {
    f"emodb_{name}.wav"
    for name in ("08a02Fe", "09a02La", "11a02Nc", "13a01Ea", "13a02Ta", "14a07Aa", "15a04Wb")
}
READ = {"jfk.flac", "librispeech_116-288045-0001.m4a", "LJ050-0131.wav", "ami_dev00.wav", "ami_dev01.wav"}
TRANSCRIBED = WHITE_HOUSE | GRID | EMODB | READ
PICTURES = {"pyfeat_single_face.jpg", "obama_portrait.jpg"}
ONE_FACE = WHITE_HOUSE | GRID | PICTURES | {"wh_address_noaudio.mp4", "pyfeat_single_face.mp4"}
NO_SPEECH = {
    "pyfeat_single_face.mp4": "no_speech",  # hiss, its loudest 20 ms at -45 dB
    "pyfeat_no_face.mp4": "no_speech",
    "psd_testvideo.mp4": "no_audio_stream",
    "wh_address_noaudio.mp4": "no_audio_stream",
}
FRAMES = {"pyfeat_single_face.mp4": 72, "pyfeat_face_noface.mov": 169, "grid_bbaf2n.mpg": 75}
PSD_CUTS = (30, 180, 394)
PSD_FPS = 30000 / 1001

Found = dict[str, dict[str, Any]]


@pytest.mark.media
@pytest.mark.worker
@pytest.mark.slow
def test_every_recording_with_known_truth_comes_through_with_the_right_facts(
    tmp_path: Path, media: Callable[[str], Path]
) -> None:
    folder = media("video").parent
    names = sorted(path.name for path in folder.rglob("*") if path.suffix in ENDINGS)
    project = tmp_path / "project"
    done_well(emotrace("init", project, "--json"))
    taken = done_well(emotrace("ingest", folder, "--project", project, "--json"))
    assert (taken["new"], taken["failed_items"]) == (len(names), [])
    run = done_well(emotrace("run", "--project", project, "--local", "--json"))
    assert run["sources"] == len(names)
    del run["this_run"]
    status = done_well(emotrace("status", "--project", project, "--json"))
    assert {key: status[key] for key in run} == run
    made = done_well(emotrace("release", "--version", "0.1.0", "--project", project, "--json"))
    assert made["rows"] == run["auto_accepted"] > 0
    assert done_well(emotrace("verify", "0.1.0", "--project", project, "--json"))["ok"]
    with open_project(project) as opened:
        found = {name: show(opened, name).model_dump(mode="json") for name in names}
    assert done_well(emotrace("show", "jfk.flac", "--project", project, "--json")) == found["jfk.flac"]
    check_streams(found)
    check_speech(found)
    check_faces(found)


def check_streams(found: Found) -> None:
    media = {name: item["source"]["media"] for name, item in found.items()}
    assert {name for name in media if media[name]["video"] and not media[name]["audio"]} == PICTURES | {
        "psd_testvideo.mp4",
        "wh_address_noaudio.mp4",
    }
    assert {name: media[name]["video"]["frames"] for name in FRAMES} == FRAMES
    videos = [name for name in media if media[name]["kind"] == "video"]
    assert [n for n in videos if media[n]["video"]["variable_frame_rate"]] == ["pyfeat_face_noface.mov"]
    assert media["jfk.flac"]["duration_s"] == pytest.approx(11.0, abs=0.001)
    starts = {name: [shot["start_s"] for shot in item["shots"]] for name, item in found.items()}
    assert starts["pyfeat_face_noface.mov"] == pytest.approx([0, 2.40], abs=0.001)
    assert starts["psd_testvideo.mp4"] == pytest.approx(
        [0, *(frame / PSD_FPS for frame in PSD_CUTS)], abs=0.001
    )
    assert {name for name in videos if len(starts[name]) > 1} == {
        "pyfeat_face_noface.mov",
        "psd_testvideo.mp4",
    }


def check_speech(found: Found) -> None:
    assert {name: found[name]["speech_missing"] for name in NO_SPEECH} == NO_SPEECH
    for name in NO_SPEECH:
        assert found[name]["speech"] == []
        assert all(item["sample"]["words"] == [] for item in found[name]["items"])
    for name in TRANSCRIBED:
        assert found[name]["speech_missing"] is None, name
        assert found[name]["speech"], name
        assert any(item["sample"]["words"] for item in found[name]["items"]), name
        assert all(item["sample"]["prosody"] for item in found[name]["items"]), name
    said = " ".join(w["text"] for item in found["jfk.flac"]["items"] for w in item["sample"]["words"])
    assert "my fellow americans" in said
    assert "your country" in said


def check_faces(found: Found) -> None:
    for name in ONE_FACE:
        (item,) = found[name]["items"]
        assert len(item["sample"]["faces"]) == 1, name
    seen, unseen = found["pyfeat_face_noface.mov"]["items"]
    assert len(seen["sample"]["faces"]) == 1
    for item in (unseen, *found["pyfeat_no_face.mp4"]["items"], *found["psd_testvideo.mp4"]["items"]):
        assert item["sample"]["missing"]["visual"] == "no_face"
        assert item["sample"]["faces"] == []
    sounds = [
        item for name in found if name.endswith((".wav", ".flac", ".m4a")) for item in found[name]["items"]
    ]
    assert all(item["sample"]["missing"] == {"visual": "no_video_stream"} for item in sounds)
    (smile,) = found["pyfeat_single_face.mp4"]["items"]
    (curve,) = [s["values"] for s in smile["features"]["au"]["series"] if s["name"] == "AU12"]
    third = len(curve) // 3
    assert sum(curve[-third:]) / third > sum(curve[:third]) / third + 0.2
