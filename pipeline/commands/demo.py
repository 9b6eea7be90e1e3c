"""The demo project: a dozen small recordings made on the spot, so that everything runs without key or download.

One public-domain portrait, warped into expressions, speaks with synthetic voices (`workers/demo_media.py`). The
clips are built to agree, to disagree and to lack things: a smile with sad words, no sound, no face, sound only.
"""

from __future__ import annotations

import csv
import filecmp
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.features.worker import run_worker
from schemas.errors import UserError

WORKER = Path(__file__).parents[1] / "workers" / "demo_media.py"
MARK = ".emotrace-demo"  # stands in a folder that a demo made
LICENSE, CONSENT, LANGUAGE = "CC0-1.0", "synthetic", "en"


@dataclass(frozen=True)
class Look:
    """How a speaker's picture differs from the portrait: `backdrop` and `gain` are RGB factors."""

    mirror: bool
    eye_distance_px: float
    stretch: float
    backdrop: tuple[float, float, float]
    gain: tuple[float, float, float]


@dataclass(frozen=True)
class Speaker:
    """`pitch` is eSpeak's 0-99; a line's pitch is relative to it."""

    voice: str
    pitch: int
    look: Look


@dataclass(frozen=True)
class Line:
    """A sentence and how it is said: `rate` in words per minute, `pitch` relative to the speaker's own."""

    text: str
    rate: int = 165
    pitch: int = 0
    range: int = 40


@dataclass(frozen=True)
class DemoClip:
    """One recording. `expression` maps action units to their amount at the apex; `face` False: none is seen."""

    name: str
    speaker: str
    lines: tuple[Line, ...]
    level_db: float = -21.0
    expression: tuple[tuple[str, float], ...] = ()
    face: bool = True
    suffix: str = ".mp4"
    subtitles: bool = True


SPEAKERS = {
    "ada": Speaker("en-us+f2", 45, Look(False, 112.0, 1.0, (0.78, 0.90, 1.0), (1.0, 1.0, 1.0))),
    "bea": Speaker("en-us+f4", 75, Look(True, 104.0, 0.97, (0.86, 1.0, 0.80), (1.0, 0.96, 0.92))),
    "cleo": Speaker("en-us+f1", 5, Look(False, 120.0, 1.03, (1.0, 0.80, 0.68), (0.84, 0.80, 0.80))),
}

# A smile lifts the brows a little; the portrait's own smile is AU12 = 1.
SMILE = (("AU12", 1.0), ("AU01", 0.12), ("AU02", 0.12))
FROWN = (("AU04", 1.0), ("AU07", 0.8), ("AU15", 0.25), ("AU17", 0.5))
# With more of a raised chin the drawn mouth looks open, and its corners are not measured as low.
SADNESS = (("AU01", 1.1), ("AU15", 0.9), ("AU17", 0.2), ("AU07", 0.4))
SURPRISE = (("AU01", 1.0), ("AU02", 1.0), ("AU05", 1.0), ("AU26", 0.8))

JOY_LINES = (
    Line("I got the job, I am so happy!", 195, 34, 82),
    Line("This is the best day of my life, I love it!", 195, 40, 88),
)
TRAIN_LINES = (Line("The train to the city leaves at nine in the morning, from platform number four.", 170),)
OFFICE_LINES = (
    Line(
        "The office is on the second floor, on the left side, and the form is on the table in the hall.", 190
    ),
)
RIVER_LINES = (Line("The line on the map shows the road along the river, and then over the hill.", 170),)
MILL_LINES = (Line("Both roads meet again at the old mill, near the bridge. It is one hour on foot.", 170),)
NOTE_LINES = (
    Line("This is a note about the meeting on Monday.", 175),
    Line("We begin at ten, and the room is number nine on the lower floor.", 175),
)
ANGER_LINES = (
    Line("You lied to me again and I am furious about it!", 215, -4, 90),
    Line("I hate this so much now get out and leave me alone!", 220, -2, 95),
)
SAD_LINES = (
    Line("I miss her so much.", 125, -8, 12),
    Line("The house is empty, and I feel so sad and alone.", 125, -10, 10),
)
LOSS_LINES = (
    Line("My dog died last night.", 145, -8, 15),
    Line("I am so sad, and so lonely without him.", 140, -12, 12),
)
SURPRISE_LINES = (
    Line("Oh! Wow!", 160, 12, 90),
    Line("I never expected to see you all here, what an unbelievable surprise!", 185, 20, 99),
)
THANKS_LINES = (
    Line("I am really glad and thankful, you were wonderful to my mother.", 180, 8, 65),
    Line("Everyone at home is happy and well again.", 180, 10, 70),
)

CLIPS = (
    DemoClip("ada_joy", "ada", JOY_LINES, -14, SMILE),
    DemoClip("ada_neutral", "ada", TRAIN_LINES),
    DemoClip("ada_smile_sad_words", "ada", LOSS_LINES, -26, SMILE),
    DemoClip("ada_voice_note", "ada", NOTE_LINES, face=False, suffix=".wav", subtitles=False),
    DemoClip("bea_surprise", "bea", SURPRISE_LINES, -15, SURPRISE),
    DemoClip("bea_neutral", "bea", OFFICE_LINES, subtitles=False),
    DemoClip("bea_joy", "bea", THANKS_LINES, -18, SMILE),
    DemoClip("bea_silent_smile", "bea", (), expression=SMILE, subtitles=False),
    DemoClip("cleo_anger", "cleo", ANGER_LINES, -12, FROWN),
    DemoClip("cleo_sad", "cleo", SAD_LINES, -30, SADNESS),
    DemoClip("cleo_neutral", "cleo", RIVER_LINES),
    DemoClip("cleo_no_face", "cleo", MILL_LINES, face=False),
)


def manifest(folder: Path, clips: tuple[DemoClip, ...] = CLIPS) -> list[dict[str, Any]]:
    """What the worker is told: one plain dictionary per clip, files going to `folder`."""
    told = []
    for clip in clips:
        speaker = SPEAKERS[clip.speaker]
        lines = [
            asdict(replace(line, pitch=max(0, min(99, speaker.pitch + line.pitch)))) for line in clip.lines
        ]
        told.append(
            {
                "id": clip.name,
                "out": str(folder / f"{clip.name}{clip.suffix}"),
                "subtitles": str(folder / f"{clip.name}.srt") if clip.subtitles else None,
                "speech": lines,
                "voice": speaker.voice,
                "level_db": clip.level_db,
                "tail_s": 0.8,
                "face": asdict(speaker.look) if clip.face else None,
                "expression": dict(clip.expression),
            }
        )
    return told


def manifest_csv() -> str:
    """The project's list of recordings, with what is declared of each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "speaker", "license", "consent", "language"))
    for clip in CLIPS:
        writer.writerow((f"media/{clip.name}{clip.suffix}", clip.speaker, LICENSE, CONSENT, LANGUAGE))
    return text.getvalue()


def project_file() -> str:
    """The demo's `emotrace.toml`."""
    return """\
# A small project made by `emotrace demo`. Change it, then run `emotrace run`: only what is missing is done.

[project]
name = "demo"

[release]
# All clips show the same warped portrait and share sentences: near-duplicates by design. Split into train and
# test they would leak into each other, so this release has one split only.
split_policy = "single"
"""


def make_demo_project(folder: Path, *, on_progress: Callable[[int, int, str], None] | None = None) -> None:
    """Write a project that can be run: `media/`, `manifest.csv` and `emotrace.toml` under `folder`.

    `on_progress` gets (clips done, clips in all, name of the clip just made). A file that is already there with
    the same bytes is left alone; so is an `emotrace.toml`, which people edit.

    Raises:
        UserError: code "not_a_demo", when the folder holds anything that no demo made; "demo_failed", when a clip
            could not be made.
    """
    _refuse_other_folder(folder)
    media = folder / "media"
    media.mkdir(parents=True, exist_ok=True)
    _write_if_changed(folder / MARK, "made by emotrace demo\n")
    with tempfile.TemporaryDirectory(dir=folder, prefix=".demo-") as scratch:
        made = Path(scratch)
        for done, name in enumerate(_make_clips(made), start=1):
            if on_progress is not None:
                on_progress(done, len(CLIPS), name)
        for new in sorted(made.iterdir()):
            _keep_or_replace(new, media / new.name)
    _write_if_changed(folder / "manifest.csv", manifest_csv())
    if not (folder / "emotrace.toml").exists():
        _write_if_changed(folder / "emotrace.toml", project_file())


def _refuse_other_folder(folder: Path) -> None:
    """Synthetic clips must never be mixed into recordings, and nobody's files be replaced."""
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / MARK).exists())):
        raise UserError(
            "not_a_demo",
            f"{folder} holds something that no demo made",
            "give the demo a new folder: emotrace demo --project NEW",
        )


def _make_clips(folder: Path) -> Iterator[str]:
    """Run the worker; yields the name of each clip when it is made."""
    for message in run_worker(WORKER, manifest(folder)):
        if message["type"] == "error":
            raise UserError(
                "demo_failed",
                f"the demo clip {message['id']} could not be made: {message['message']}",
                "run `emotrace doctor`",
            )
        if message["type"] == "done":
            yield str(message["id"])


def _keep_or_replace(new: Path, old: Path) -> None:
    if not (old.exists() and filecmp.cmp(new, old, shallow=False)):
        new.replace(old)


def _write_if_changed(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        partial = path.with_name(path.name + ".part")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
