"""Projects for the tests of the pipeline: made recordings with a voice, the real command line, what stands."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

from pipeline.ingest import IngestReport, ingest
from pipeline.project import Project
from schemas.records import RECORDS
from schemas.store import Store
from tests.media_io.make import AUDIO_RATE_HZ, make_video

REPO = Path(__file__).resolve().parents[2]
EMOTRACE = Path(sys.executable).with_name("emotrace")
CLI_TIMEOUT_S = 240
SYLLABLE_S, PAUSE_S, SYLLABLES_PER_BREATH = 0.22, 0.35, 6
VOWELS_HZ = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))
FORMANT_WIDTH_HZ = 80
OWN_VARIABLES = ("EMOTRACE__", "OPENAI_", "GEMINI_", "GOOGLE_", "PREFECT_")

Wave = npt.NDArray[np.float32]

LEXICON_ALONE = """\
[segment]
rule = "whole"
[select]
require = "any"
[features.au]
enabled = false
[[annotators]]
name = "lexicon"
provider = "cues"
model = "lexicon"
"""
# Keyless annotators and judge, and a model and a judge behind the address `url`.
EVERY_STAGE = """
[project]
name = "{name}"
language = "en"
[segment]
rule = "whole"
[[annotators]]
name = "lexicon"
provider = "cues"
model = "lexicon"
[[annotators]]
name = "prosody"
provider = "cues"
model = "prosody"
[[annotators]]
name = "facial"
provider = "cues"
model = "facial"
[[annotators]]
name = "model"
provider = "openai_compatible"
model = "small"
base_url = "{url}"
takes = ["text", "images", "audio"]
[[judges]]
name = "rules"
provider = "cues"
model = "rules"
[[judges]]
name = "judge"
provider = "openai_compatible"
model = "large"
base_url = "{url}"
takes = ["text"]
[policy]
accept_probability = 0.6
[release]
license = "cc-by-4.0"
split_policy = "single"
"""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


def emotrace(*arguments: str | Path, cwd: Path | None = None, **environment: str) -> Done:
    """Run the installed command as a user does, without a terminal."""
    done = subprocess.run(
        [str(EMOTRACE), *map(str, arguments)],
        cwd=cwd,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=CLI_TIMEOUT_S,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def clean_environment(**extra: str) -> dict[str, str]:
    """The environment without a developer's own keys and settings, as in a shell that has activated it."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(OWN_VARIABLES)}
    return {**own, "PATH": f"{EMOTRACE.parent}{os.pathsep}{own.get('PATH', '')}", **extra}


def done_well(done: Done) -> Any:
    """The JSON object of a command that must have ended well."""
    assert done.status == 0, f"status {done.status}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.json


def voice(length_s: float, pitch_hz: float, seed: int) -> Wave:
    """Something like speech: glottal pulses through three formants, in syllables and breaths.

    Real enough for the voice activity detector and the pitch tracker; it says nothing.
    """
    rng = np.random.default_rng(seed)
    clock = np.arange(round(length_s * AUDIO_RATE_HZ)) / AUDIO_RATE_HZ
    melody = pitch_hz * (
        1 + 0.15 * np.sin(2 * np.pi * 0.9 * clock) + 0.05 * np.sin(2 * np.pi * 2.3 * clock + 1)
    )
    pulses = (np.diff(np.floor(np.cumsum(melody) / AUDIO_RATE_HZ), prepend=0) > 0).astype(float)
    out, start, syllable = np.zeros(len(clock)), 0, 0
    while start < len(clock):
        end = min(len(clock), start + round(SYLLABLE_S * AUDIO_RATE_HZ))
        formants = VOWELS_HZ[rng.integers(len(VOWELS_HZ))]
        sound = _vowel(pulses[start:end] + 0.002 * rng.standard_normal(end - start), formants)
        out[start:end] = sound * np.sqrt(np.sin(np.pi * np.linspace(0, 1, end - start)))
        syllable += 1
        start = end + (round(PAUSE_S * AUDIO_RATE_HZ) if syllable % SYLLABLES_PER_BREATH == 0 else 0)
    return (0.5 * out).astype(np.float32)


def _vowel(source: npt.NDArray[np.float64], formants_hz: tuple[int, ...]) -> npt.NDArray[np.float64]:
    radius = np.exp(-np.pi * FORMANT_WIDTH_HZ / AUDIO_RATE_HZ)
    for formant_hz in formants_hz:
        turn = 2 * radius * np.cos(2 * np.pi * formant_hz / AUDIO_RATE_HZ)
        source = np.asarray(lfilter([1 - radius], [1, -turn, radius * radius], source))
    return np.asarray(source / (np.max(np.abs(source)) + 1e-9))


def talk(path: Path, *, text: str, length_s: float = 4.5, pitch_hz: float = 120, seed: int = 0) -> Path:
    """A recording of a voice with a picture but no face, and a subtitle beside it that says `text`."""
    sound = voice(length_s, pitch_hz, seed)
    make_video(path, frames=round(length_s * 25), tones=(sound,))
    subtitle(path, text, length_s=length_s)
    return path


def subtitle(recording: Path, text: str, *, length_s: float = 4.5) -> Path:
    """Write the subtitle beside a recording."""
    path = recording.with_suffix(".srt")
    milliseconds = round((length_s - 0.3) * 1000)
    end = f"00:00:{milliseconds // 1000:02d},{milliseconds % 1000:03d}"
    path.write_text(f"1\n00:00:00,100 --> {end}\n{text}\n", encoding="utf-8")
    return path


def write_settings(folder: Path, text: str) -> Path:
    """A project folder with these settings."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "emotrace.toml").write_text(text, encoding="utf-8")
    return folder


def ingested(folder: Path, text: str, *arguments: str | Path) -> Path:
    """A project with these settings that has taken recordings in, by the real command."""
    project = write_settings(folder, text)
    done_well(emotrace("ingest", *arguments, "--project", project, "--json"))
    return project


@contextlib.contextmanager
def stored(project: Path) -> Iterator[Store]:
    """The store of a project, closed afterwards."""
    store = Store.open(f"sqlite:///{project / 'emotrace.db'}")
    try:
        yield store
    finally:
        store.close()


def standing(project: Path) -> dict[str, dict[str, str]]:
    """Kind -> id -> digest of everything that stands."""
    with stored(project) as store:
        found = {}
        for kind, record in RECORDS.items():
            digests = store.digests(record)
            found[kind] = {i: digests[i] for i in sorted(store.live_ids(record)) if i in digests}
    return found


def file_sums(folder: Path) -> dict[str, str]:
    """Name -> SHA-256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files}


def copy_project(project: Path, to: Path) -> Path:
    """A copy that can be worked on; the recordings stay where they are."""
    shutil.copytree(project, to)
    return to


def take(project: Project, *inputs: Path, **options: Any) -> IngestReport:
    return ingest(project, [str(path) for path in inputs], **options)
