"""Which backend measures a stage on this machine: `auto` takes the best one that can run without asking."""

from __future__ import annotations

import difflib
import math
import typing
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pydantic

from pipeline.features import EXTRACTORS
from pipeline.features.asr_weights import whisper_here
from pipeline.features.au_weights import find_pyfeat_weights, pyfeat_weights
from pipeline.features.backends import AUTO, aligned_here, built
from pipeline.features.base import Extractor, Params
from pipeline.features.face_tables import find_face_table
from pipeline.features.prosody_csv import find_table
from pipeline.features.transcripts import GivenText, find_sidecar
from pipeline.features.transcripts_meld import find_row
from schemas.errors import ItemError, UserError
from schemas.parts import Span
from schemas.registry import resolve

BESIDE = ("au.openface", "au.pyfeat_csv", "series.sidecar")  # read a file beside the recording


def pick_extractor(
    stage: str,
    requested: str,
    options: dict[str, Any],
    path: Path,
    *,
    transcript: GivenText | None = None,
    language: str | None = None,
    segments: Sequence[Span] = (),
    duration_s: float = math.inf,
    sampling: dict[str, float] | None = None,
) -> Extractor:
    """The extractor of `stage` for the recording at `path`.

    `requested` is a backend's name or "auto": for words a transcript beside the recording, else the manifest's
    `transcript`, else MELD's table, else WhisperX when its environment, weights and alignment model are on this
    machine, else faster-whisper when its weights are, else PocketSphinx; for the voice a table beside the
    recording; for faces such a table, else Py-Feat when it can run; else what `AUTO` says. `options` are the
    backend's parameters; with "auto" each backend takes those that it knows. `language` is that of the recording;
    it, or the option of that name, chooses among several transcripts and is the option of a backend that listens,
    so that another language is another question. `segments` are those of the recording in source time: the words
    of a transcript are shared out among them; one of another clock goes past `duration_s`, the recording's end.
    `sampling` says how pictures were taken; it is the option `frames`
    of a backend that looks at them.

    Raises:
        UserError: an unknown stage, backend or option; a named backend that cannot run here.
        ItemError: a transcript or table of this one recording is missing, unreadable or not the only one.
    """
    names = backend_names(stage)
    if requested not in ("auto", *names):
        raise UserError(
            "unknown_backend",
            f'unknown {stage} backend "{requested}"',
            f"known: auto, {', '.join(names)}",
        )
    refuse_unknown_options(stage, requested, options)
    if sampling is not None and (requested == "auto" or "frames" in _option_names(f"{stage}.{requested}")):
        options = {**options, "frames": sampling}
    if requested == "auto":
        return _automatic(stage, options, path, transcript, language, segments, duration_s)
    if f"{stage}.{requested}" == "asr.sidecar":
        return _sidecar(options, path, language, segments, duration_s)
    if f"{stage}.{requested}" == "asr.manifest":
        return _from_manifest(transcript, path, segments)
    if f"{stage}.{requested}" == "asr.meld":
        return _from_meld(find_row(path), path, segments)
    if f"{stage}.{requested}" == "prosody.csv":
        return _prosody_table(options, path)
    return _ready(f"{stage}.{requested}", options, language, path)


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
    duration_s: float,
) -> Extractor:
    if stage == "prosody" and find_table(path) is not None:
        known = _option_names("prosody.csv")
        return _prosody_table({name: options[name] for name in known if name in options}, path)
    if stage == "au":
        chosen = f"au.{_best_faces(path, options)}"
    elif stage != "asr":
        chosen = f"{stage}.{AUTO[stage]}"
    elif find_sidecar(path, options.get("language") or language) is not None:
        return _sidecar({"language": options.get("language")}, path, language, segments, duration_s)
    elif transcript is not None:
        return _from_manifest(transcript, path, segments)
    elif (row := find_row(path)) is not None:
        return _from_meld(row, path, segments)
    else:
        chosen = _listener(options, language)
    taken = {name: options[name] for name in _option_names(chosen) if name in options}
    return _ready(chosen, taken, language, path)


def _best_faces(path: Path, options: dict[str, Any]) -> str:
    """A table beside the recording, else Py-Feat when it can run without asking, else MediaPipe.

    Raises:
        UserError: named weights that are not there.
    """
    if (table := find_face_table(path)) is not None:
        return table[0]
    weights = options.get("weights")
    if weights is not None:
        pyfeat_weights(weights)
    reachable = find_pyfeat_weights(weights) is not None and built("au.pyfeat")
    return "pyfeat" if reachable else AUTO["au"]


def _ready(key: str, options: dict[str, Any], language: str | None, path: Path) -> Extractor:
    extractor: Any = _build(key, options, language)
    ready: Extractor = extractor.beside(path) if key in BESIDE else extractor
    return ready


def _listener(options: dict[str, Any], language: str | None) -> str:
    """The best backend that can listen without asking. A folder that the user named must be there.

    Without an alignment model for what is spoken WhisperX is not better than faster-whisper, only heavier.
    """
    if whisper_here(options.get("weights"), options.get("model")) is None:
        return "asr.pocketsphinx"
    return (
        "asr.whisperx" if aligned_here(options, language) and built("asr.whisperx") else "asr.faster_whisper"
    )


def _sidecar(
    options: dict[str, Any], path: Path, language: str | None, segments: Sequence[Span], duration_s: float
) -> Extractor:
    sidecar = find_sidecar(path, options.get("language") or language)
    if sidecar is None:
        raise ItemError(
            "transcript_missing",
            f"no transcript stands beside {path.name}",
            f"put {path.stem}.srt, .vtt, .TextGrid or .txt in the same folder, or use another asr backend",
        )
    kind: Any = resolve(EXTRACTORS, "asr.sidecar", what="extractor")
    extractor: Extractor = kind.beside(sidecar, segments, duration_s)
    return extractor


def _from_manifest(transcript: GivenText | None, path: Path, segments: Sequence[Span]) -> Extractor:
    if transcript is None:
        remedy = "fill the manifest's transcript column, or use another asr backend"
        raise ItemError("transcript_missing", f"no manifest gives a transcript of {path.name}", remedy)
    extractor: Extractor = resolve(EXTRACTORS, "asr.manifest", what="extractor").of(transcript, segments)
    return extractor


def _from_meld(row: GivenText | None, path: Path, segments: Sequence[Span]) -> Extractor:
    if row is None:
        remedy = "put the csv of MELD's utterances in the same folder, or use another asr backend"
        raise ItemError("transcript_missing", f"no table of MELD's names {path.name}", remedy)
    extractor: Extractor = resolve(EXTRACTORS, "asr.meld", what="extractor").of(row, segments)
    return extractor


def _prosody_table(options: dict[str, Any], path: Path) -> Extractor:
    table: Any = _build("prosody.csv", options, None)
    extractor: Extractor = table.beside(path)
    return extractor


def _build(key: str, options: dict[str, Any], language: str | None) -> Extractor:
    if "language" in _option_names(key) and options.get("language") is None:
        options = {**options, "language": language}
    make: Callable[[Any], Extractor] = resolve(EXTRACTORS, key, what="extractor")
    return make(checked_params(key, options))


def checked_params(key: str, options: dict[str, Any]) -> Params | None:
    """The parameters of a backend from what the settings say; None for one that has none.

    Raises:
        UserError: "bad_option".
    """
    kind, _, name = key.partition(".")
    params_class = _params_class(key)
    try:
        return params_class(**options) if params_class is not None else None
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
