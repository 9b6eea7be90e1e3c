"""Which backend measures a stage on this machine: `auto` takes the best one that can run without asking."""

from __future__ import annotations

import difflib
import importlib.util
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pydantic

from pipeline.features import EXTRACTORS
from pipeline.features.asr_aligners import aligners_here, how_to_get
from pipeline.features.asr_weights import WHISPER_REPOSITORIES, cached_whisper, whisper_here
from pipeline.features.base import Extractor, Params
from pipeline.features.transcripts import GivenText, find_sidecar
from pipeline.features.worker import WORKERS, environment_is_built
from schemas.errors import ItemError, UserError
from schemas.parts import Span
from schemas.registry import resolve

AUTO: dict[str, str] = {"prosody": "core", "au": "mediapipe"}  # words have a rule of their own


@dataclass(frozen=True)
class BackendFacts:
    """What a person should know of a backend before choosing it."""

    package: str | None  # import name; None: nothing beyond the core
    licence: str
    download: str = ""  # what would be downloaded on first use
    worker: str | None = None  # the script in pipeline/workers whose environment it needs


FACTS: dict[str, BackendFacts] = {
    "diarize.rttm": BackendFacts(None, "that of the file"),
    "diarize.pyannote": BackendFacts(
        None,
        "MIT (code), CC-BY-4.0 (weights of community-1)",
        "an environment with pyannote.audio 4.0.7 by uv (7.2 GB, most of it shared with asr.whisperx), on first "
        "use; weights when download = true (about 35 MB, after their conditions were accepted)",
        "pyannote_diarize.py",
    ),
    "diarize.none": BackendFacts(None, "none needed"),
    "asr.sidecar": BackendFacts(None, "that of the transcript"),
    "asr.manifest": BackendFacts(None, "that of the transcript"),
    "asr.whisperx": BackendFacts(
        None,
        "BSD-2-Clause (code), MIT (Whisper); alignment: MIT (en), CC BY-NC 4.0 (de, es, fr, it), others by model",
        "an environment with whisperx 3.8.6 by uv (7.2 GB), on first use; weights when download = true",
        "whisperx_asr.py",
    ),
    "asr.faster_whisper": BackendFacts(
        "faster_whisper",
        "MIT (code and weights)",
        f"weights, by hand: hf download {WHISPER_REPOSITORIES['small']} (about 0.5 GB)",
    ),
    "asr.pocketsphinx": BackendFacts(
        "pocketsphinx",
        "BSD-2-Clause (code and model)",
    ),
    "prosody.core": BackendFacts(
        "swift_f0",
        "MIT (pitch model), BSD-3-Clause (numpy, scipy)",
    ),
    "au.mediapipe": BackendFacts(
        None,
        "Apache-2.0 (code and models)",
        "an environment with mediapipe 0.10.21 by uv (about 0.5 GB), on first use",
        "mediapipe_faces.py",
    ),
}


def pick_extractor(
    stage: str,
    requested: str,
    options: dict[str, Any],
    path: Path,
    *,
    transcript: GivenText | None = None,
    language: str | None = None,
    segments: Sequence[Span] = (),
) -> Extractor:
    """The extractor of `stage` for the recording at `path`.

    `requested` is a backend's name or "auto": for words a transcript beside the recording, else the manifest's
    `transcript`, else WhisperX when its environment, weights and alignment model are on this machine, else
    faster-whisper when its weights are, else PocketSphinx; for other stages what `AUTO` says. `options` are the
    backend's parameters; with "auto" each backend takes those that it knows. `language` is that of the recording;
    it, or the option of that name, chooses among several transcripts and is the option of a backend that listens,
    so that another language is another question. `segments` are those of the recording in source time: the words
    of a transcript are shared out among them.

    Raises:
        UserError: an unknown stage, backend or option; a named backend that cannot run here.
        ItemError: a transcript of this one recording is missing, unreadable or not the only one.
    """
    names = backend_names(stage)
    if requested not in ("auto", *names):
        raise UserError(
            "unknown_backend",
            f'unknown {stage} backend "{requested}"',
            f"known: auto, {', '.join(names)}",
        )
    refuse_unknown_options(stage, requested, options)
    if requested == "auto":
        return _automatic(stage, options, path, transcript, language, segments)
    if f"{stage}.{requested}" == "asr.sidecar":
        return _sidecar(options, path, language, segments)
    if f"{stage}.{requested}" == "asr.manifest":
        return _from_manifest(transcript, path, segments)
    return _build(f"{stage}.{requested}", options, language)


def backend_names(stage: str) -> list[str]:
    """The backends of a stage, sorted.

    Raises:
        UserError: no such stage.
    """
    names = sorted(key.partition(".")[2] for key in EXTRACTORS if key.partition(".")[0] == stage)
    if not names:
        stages = sorted({key.partition(".")[0] for key in EXTRACTORS})
        raise UserError("unknown_stage", f'unknown stage "{stage}"', f"known: {', '.join(stages)}")
    return names


def _automatic(
    stage: str,
    options: dict[str, Any],
    path: Path,
    transcript: GivenText | None,
    language: str | None,
    segments: Sequence[Span],
) -> Extractor:
    if stage != "asr":
        chosen = f"{stage}.{AUTO[stage]}"
    elif find_sidecar(path, options.get("language") or language) is not None:
        return _sidecar({"language": options.get("language")}, path, language, segments)
    elif transcript is not None:
        return _from_manifest(transcript, path, segments)
    else:
        chosen = _listener(options, language)
    taken = {name: options[name] for name in _option_names(chosen) if name in options}
    return _build(chosen, taken, language)


def _listener(options: dict[str, Any], language: str | None) -> str:
    """The best backend that can listen without asking. A folder that the user named must be there.

    Without an alignment model for what is spoken WhisperX is not better than faster-whisper, only heavier.
    """
    if whisper_here(options.get("weights"), options.get("model")) is None:
        return "asr.pocketsphinx"
    return (
        "asr.whisperx" if _aligned_here(options, language) and built("asr.whisperx") else "asr.faster_whisper"
    )


def _aligned_here(options: dict[str, Any], language: str | None) -> bool:
    spoken = options.get("language") or language
    code = None if spoken is None else spoken.split("-")[0].lower()
    return bool(aligners_here(options.get("align_weights") or {}, code))


@cache
def built(key: str) -> bool:
    """Whether a backend's environment lies here, or it needs none; looked up once per process."""
    worker = FACTS[key].worker
    return worker is None or environment_is_built(WORKERS / worker)


def _sidecar(
    options: dict[str, Any], path: Path, language: str | None, segments: Sequence[Span]
) -> Extractor:
    sidecar = find_sidecar(path, options.get("language") or language)
    if sidecar is None:
        raise ItemError(
            "transcript_missing",
            f"no transcript stands beside {path.name}",
            f"put {path.stem}.srt, .vtt or .txt in the same folder, or use another asr backend",
        )
    extractor: Extractor = resolve(EXTRACTORS, "asr.sidecar", what="extractor").beside(sidecar, segments)
    return extractor


def _from_manifest(transcript: GivenText | None, path: Path, segments: Sequence[Span]) -> Extractor:
    if transcript is None:
        remedy = "fill the manifest's transcript column, or use another asr backend"
        raise ItemError("transcript_missing", f"no manifest gives a transcript of {path.name}", remedy)
    extractor: Extractor = resolve(EXTRACTORS, "asr.manifest", what="extractor").of(transcript, segments)
    return extractor


def _build(key: str, options: dict[str, Any], language: str | None) -> Extractor:
    kind, _, name = key.partition(".")
    if "language" in _option_names(key) and options.get("language") is None:
        options = {**options, "language": language}
    make: Callable[[Any], Extractor] = resolve(EXTRACTORS, key, what="extractor")
    params_class = _params_class(key)
    try:
        return make(params_class(**options) if params_class is not None else None)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError("bad_option", f'{kind} backend "{name}": option "{where}": {first["msg"]}') from error


@cache
def _params_class(key: str) -> type[Params] | None:
    """The class of the constructor's `params`; None for a backend without options."""
    hints = typing.get_type_hints(resolve(EXTRACTORS, key, what="extractor").__init__)
    choices = typing.get_args(hints.get("params")) or (hints.get("params"),)
    return next((kind for kind in choices if isinstance(kind, type) and issubclass(kind, Params)), None)


def _option_names(key: str) -> list[str]:
    kind = _params_class(key)
    return list(kind.model_fields) if kind is not None else []


def refuse_unknown_options(stage: str, requested: str, options: Iterable[str]) -> None:
    """With "auto" every option that one of the stage's backends knows is taken.

    Raises:
        UserError: "unknown_option", with the nearest known one.
    """
    names = backend_names(stage) if requested == "auto" else [requested]
    known = {option for name in names for option in _option_names(f"{stage}.{name}")}
    known |= {"language"} if stage == "asr" else set()
    unknown = sorted(set(options) - known)
    if not unknown:
        return
    what = f"{stage} backends" if requested == "auto" else f'{stage} backend "{requested}"'
    near = difflib.get_close_matches(unknown[0], [*known, "backend", "enabled"], n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"? ' if near else ""
    remedy = f"{hint}known: {', '.join(sorted(known))}" if known else f"{hint}it takes no options"
    raise UserError("unknown_option", f"{what}: unknown option {', '.join(unknown)}", remedy)


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
    if key == "asr.whisperx" and not built(key):
        return "its environment is not installed yet: the first run with it does that"
    if key in ("asr.whisperx", "asr.faster_whisper") and cached_whisper() is None:
        return "no Whisper weights on this machine"
    if key == "asr.whisperx" and not _aligned_here({}, None):
        return f"no alignment model on this machine: {how_to_get('en')}"
    if key == "diarize.pyannote":
        return _why_no_pyannote(key)
    return None


def _why_no_pyannote(key: str) -> str | None:
    from pipeline.features.pyannote_weights import is_reachable  # with a reader of YAML

    if not built(key):
        return "its environment is not installed yet: the first run with it does that"
    return (
        None if is_reachable(None) else "no weights of community-1 on this machine; set weights to use others"
    )


def why(key: str) -> str:
    """One short reason: when `auto` takes this backend, or why it cannot."""
    return why_not(key) or {
        "diarize.rttm": "used where an .rttm file tells of the recording",
        "diarize.pyannote": "used where no file tells who speaks when",
        "diarize.none": "used when nothing better is there: nobody is told apart",
        "asr.sidecar": "used where a transcript stands beside the recording",
        "asr.manifest": "used where a manifest gives the transcript",
        "asr.whisperx": "used where no transcript stands beside the recording and its language can be aligned",
        "asr.faster_whisper": "used where no transcript stands beside the recording",
        "asr.pocketsphinx": "used when nothing better is there; low quality, English only",
    }.get(key, "used by default")
