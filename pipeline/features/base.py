"""The contract of a feature extractor: one file, one line in `pipeline/features/__init__.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from pipeline.media.versions import DECODE_VERSION, VAD_VERSION
from schemas.errors import ItemError, UserError
from schemas.ids import canonical_json
from schemas.parts import Span
from schemas.records import Features, Segment, Source

SAMPLE_RATE_HZ = 16_000
Audio = npt.NDArray[np.float32]  # mono, 16 kHz, in [-1, 1], shape (samples,)


class Sound(Protocol):
    """What is heard like `Audio`, but may be read slice by slice."""

    def __len__(self) -> int: ...
    def __getitem__(self, asked: slice, /) -> Audio: ...


class Params(BaseModel):
    """Base of an extractor's parameters: part of the question, so every one of them changes the id."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Clip:
    """What an extractor gets of one segment. Times of `speech` are from the segment's start.

    `audio` is None when the source has no audio stream; `frames` is the decode pass's Parquet file of the
    whole source (columns `time_s` float64 in source time, `jpeg` binary), None without a video stream.
    `source_speech` and `shots` are those of the whole source, in source time. `where` are the stretches that
    alone are measured (the target speaks alone in them), in segment time; None: the whole segment.
    """

    source: Source
    segment: Segment
    path: Path  # the recording itself; sidecar transcripts stand beside it
    audio: Audio | None
    frames: Path | None
    speech: tuple[Span, ...] = ()
    source_speech: tuple[Span, ...] = ()
    shots: tuple[Span, ...] = ()
    where: tuple[Span, ...] | None = None
    pts: Path | None = None  # .npy: source time of every presented frame; None without a video stream

    def without_sound(self) -> Clip:
        """What need not be held for as long as a shard takes: a worker has the sound in a file, or needs none."""
        return self if self.audio is None else replace(self, audio=None)


class Backend(Protocol):
    """What a question names: `name` is the registry name, `stage` the kind of cue (asr, prosody, au, diarize)."""

    stage: ClassVar[str]
    name: ClassVar[str]
    version: ClassVar[str]

    @property
    def params(self) -> dict[str, Any]:
        """The parameters as they stand in the question."""

    @property
    def weights_digest(self) -> str | None:
        """SHA-256 of the weights, None for a backend without weights of its own."""


class Extractor(Backend, Protocol):
    """Measures segments."""

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """One result per clip, in any order; a clip that fails gives its ItemError and the others go on."""


def features_of(extractor: Extractor, clip: Clip, **measured: Any) -> Features:
    """The record of what was measured of a clip: the question from the extractor, the answer as given."""
    return Features(**question_of(extractor, clip.segment.id, clip.where), **measured)


def question_of(extractor: Backend, subject_id: str, where: Sequence[Span] | None = None) -> dict[str, Any]:
    """The fields of a Features record that say what was asked, and its stage."""
    borders = {} if where is None else {"where": [[span.start_s, span.end_s] for span in where]}
    return {
        "subject_id": subject_id,
        "extractor": extractor.name,
        "version": extractor.version,
        "params": extractor.params | borders | {"media": _media_versions(extractor.stage)},
        "weights_digest": extractor.weights_digest,
        "stage": extractor.stage,
    }


# Parameters that say what was measured, and not how: the stretches of a segment, and the file beside a recording.
OF_THE_ITEM = frozenset({"where", "sha256"})


def method_of(features: Features) -> str:
    """How something was measured, whatever it was: what may be compared, and what a baseline must not mix."""
    params = {name: value for name, value in features.params.items() if name not in OF_THE_ITEM}
    return canonical_json([features.extractor, features.version, params])


def _media_versions(stage: str) -> dict[str, str]:
    """What is measured anew when decoding changes and, but for faces, when the borders of speech do."""
    versions = {"decode": DECODE_VERSION}
    return versions if stage == "au" else versions | {"speech": VAD_VERSION}


def one_by_one(
    extractor: Extractor, clips: Iterable[Clip], measure: Callable[[Clip], Features]
) -> Iterator[tuple[Clip, Features | ItemError]]:
    """`extract` of a backend that takes one clip after the other: one that fails does not end the shard."""
    for clip in clips:
        try:
            yield clip, measure(clip)
        except ItemError as error:
            yield clip, error
        except UserError:  # every other clip would fail with it
            raise
        except Exception as error:  # noqa: BLE001 - whatever a library throws, the other clips go on
            message = f"{extractor.name}: {type(error).__name__}: {error}"
            yield clip, ItemError(f"{extractor.stage}_failed", message)
