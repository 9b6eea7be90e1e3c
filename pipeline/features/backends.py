"""What can measure on this machine, what each backend brings along and misses: for people and for `auto`."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Any

from pipeline.features import EXTRACTORS
from pipeline.features.asr_aligners import aligners_here, how_to_get
from pipeline.features.asr_weights import WHISPER_REPOSITORIES, cached_whisper
from pipeline.features.au_weights import DOWNLOAD as PYFEAT_DOWNLOAD
from pipeline.features.au_weights import find_pyfeat_weights
from pipeline.features.worker import WORKERS, environment_is_built

# What needs nothing else; words have a rule of their own, faces one that comes before.
AUTO: dict[str, str] = {"prosody": "core", "au": "mediapipe", "pose": "mediapipe", "series": "sidecar"}
NO_ENVIRONMENT = "its environment is not installed yet: the first run with it does that"


@dataclass(frozen=True)
class BackendFacts:
    """What a person should know of a backend before choosing it."""

    package: str | None  # import name; None: nothing beyond the core
    licence: str
    download: str = ""  # what would be downloaded on first use
    worker: str | None = None  # the script in pipeline/workers whose environment it needs
    note: str = "used by default"  # when `auto` takes it


FACTS: dict[str, BackendFacts] = {
    "diarize.rttm": BackendFacts(
        None, "that of the file", note="used where an .rttm file tells of the recording"
    ),
    "diarize.transcript": BackendFacts(
        None,
        "that of the transcript",
        note="used where a transcript beside the recording names the speaker of every line",
    ),
    "diarize.pyannote": BackendFacts(
        None,
        "MIT (code), CC-BY-4.0 (weights of community-1)",
        "an environment with pyannote.audio 4.0.7 by uv (7.2 GB, most of it shared with asr.whisperx), on first "
        "use; weights when download = true (about 35 MB, after their conditions were accepted)",
        "pyannote_diarize.py",
        note="used where no file tells who speaks when",
    ),
    "diarize.none": BackendFacts(
        None, "none needed", note="used when nothing better is there: nobody is told apart"
    ),
    "asr.sidecar": BackendFacts(
        None, "that of the transcript", note="used where a transcript stands beside the recording"
    ),
    "asr.manifest": BackendFacts(
        None, "that of the transcript", note="used where a manifest gives the transcript"
    ),
    "asr.whisperx": BackendFacts(
        None,
        "BSD-2-Clause (code), MIT (Whisper); alignment: MIT (en), CC BY-NC 4.0 (de, es, fr, it), others by model",
        "an environment with whisperx 3.8.6 by uv (7.2 GB), on first use; weights when download = true",
        "whisperx_asr.py",
        note="used where no transcript stands beside the recording and its language can be aligned",
    ),
    "asr.meld": BackendFacts(
        None,
        "that of the transcript (MELD: GPL-3.0)",
        note="used where a table of MELD's names the recording",
    ),
    "asr.faster_whisper": BackendFacts(
        "faster_whisper",
        "MIT (code and weights)",
        f"weights, by hand: hf download {WHISPER_REPOSITORIES['small']} (about 0.5 GB)",
        note="used where no transcript stands beside the recording",
    ),
    "asr.pocketsphinx": BackendFacts(
        "pocketsphinx",
        "BSD-2-Clause (code and model)",
        note="used when nothing better is there; low quality, English only",
    ),
    "prosody.core": BackendFacts("swift_f0", "MIT (pitch model), BSD-3-Clause (numpy, scipy)"),
    "prosody.praat": BackendFacts(
        None,
        "GPL-3.0-or-later (Praat), in a process of its own",
        "an environment with praat-parselmouth 0.4.7 by uv (about 40 MB), on first use",
        "praat_prosody.py",
        note="used when it is named",
    ),
    "prosody.opensmile": BackendFacts(
        None,
        "openSMILE's own: free for private use, research and education, no commercial products",
        "an environment with opensmile 2.6.0 by uv (about 300 MB), on first use",
        "opensmile_prosody.py",
        note="used when it is named",
    ),
    "prosody.csv": BackendFacts(
        None, "that of the table", note="used where a table stands beside the recording"
    ),
    "au.mediapipe": BackendFacts(
        None,
        "Apache-2.0 (code and models)",
        "an environment with mediapipe 0.10.21 by uv (about 0.5 GB), on first use",
        "mediapipe_faces.py",
        note="used when nothing better is there",
    ),
    "au.pyfeat": BackendFacts(
        None,
        "MIT (code, face finder); weights for non-commercial research only",
        f"an environment with py-feat 2.1.5 by uv (about 6 GB), on first use; by hand: {PYFEAT_DOWNLOAD}",
        "pyfeat_faces.py",
        note="used where no table stands beside the recording, once its environment is there",
    ),
    "au.openface": BackendFacts(
        None,
        "that of the table; OpenFace itself: non-commercial research only",
        note="used where an OpenFace table stands beside the recording",
    ),
    "au.pyfeat_csv": BackendFacts(
        None, "that of the table", note="used where a Py-Feat table stands beside the recording"
    ),
    "pose.mediapipe": BackendFacts(
        None,
        "Apache-2.0 (code and models)",
        "an environment with mediapipe 0.10.21 by uv (about 0.5 GB), on first use",
        "mediapipe_pose.py",
        note="used where [features.pose] stands in the project file",
    ),
    "series.sidecar": BackendFacts(
        None, "that of the file", note="used where a time series stands beside the recording"
    ),
}


@cache
def built(key: str) -> bool:
    """Whether a backend's environment lies here, or it needs none; looked up once per process."""
    worker = FACTS[key].worker
    return worker is None or environment_is_built(WORKERS / worker)


def aligned_here(options: dict[str, Any], language: str | None) -> bool:
    """Whether WhisperX could align what is spoken with what is on this machine."""
    spoken = options.get("language") or language
    code = None if spoken is None else spoken.split("-")[0].lower()
    return bool(aligners_here(options.get("align_weights") or {}, code))


def list_backends() -> list[dict[str, Any]]:
    """For `emotrace backends`: stage, name, installed, reachable, note, download and licence of each backend."""
    return [_row(key) for key in EXTRACTORS]


def _row(key: str) -> dict[str, Any]:
    stage, _, name = key.partition(".")
    facts = FACTS[key]
    installed = (facts.package is None or importlib.util.find_spec(facts.package) is not None) and built(key)
    return {
        "stage": stage,
        "name": name,
        "installed": installed,
        "reachable": AUTO.get(stage) == name or (installed and why_not(key) is None),
        "note": why(key),
        "download": facts.download,
        "licence": facts.licence,
    }


def why_not(key: str) -> str | None:
    """What `auto` misses on this machine to take a backend; None: nothing."""
    stage, _, name = key.partition(".")
    if AUTO.get(stage) == name:  # its environment is made without asking
        return None
    if key == "au.pyfeat" and find_pyfeat_weights(None) is None:
        return "no Py-Feat weights on this machine"
    if not built(key):
        return NO_ENVIRONMENT
    if key in ("asr.whisperx", "asr.faster_whisper") and cached_whisper() is None:
        return "no Whisper weights on this machine"
    if key == "asr.whisperx" and not aligned_here({}, None):
        return f"no alignment model on this machine: {how_to_get('en')}"
    if key == "diarize.pyannote":
        return _why_no_pyannote()
    return None


def _why_no_pyannote() -> str | None:
    from pipeline.features.pyannote_weights import is_reachable  # with a reader of YAML

    return (
        None if is_reachable(None) else "no weights of community-1 on this machine; set weights to use others"
    )


def why(key: str) -> str:
    """One short reason: when `auto` takes this backend, or why it cannot."""
    return why_not(key) or FACTS[key].note
