"""What prosody backends have in common that measure in a worker: sound goes out as a file, curves come back."""

from __future__ import annotations

import contextlib
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pipeline.features.base import SAMPLE_RATE_HZ, Audio, Clip, features_of
from pipeline.features.prosody_describe import (
    EventParams,
    Voice,
    describe,
    speech_frames,
    stretches,
    why_unheard,
)
from pipeline.features.prosody_signal import FRAME_S, Curve, frame_times, intensity_db
from pipeline.features.prosody_summary import SUMMARY_UNITS
from pipeline.features.worker import Message, run_worker
from schemas.errors import ItemError, UserError
from schemas.parts import Series, Span
from schemas.records import Features

WORKERS = Path(__file__).resolve().parents[1] / "workers"


class WorkerProsody(ABC):
    """One worker process per call of `extract`.

    The worker's .npz holds `pitch_hz` and, where it knows one, `level_db`, on the grid of 20 ms, NaN where there
    is nothing; every other array is a curve of its own on that grid. The message "done" holds `numbers`, which
    go to the summary.
    """

    stage: ClassVar[str] = "prosody"
    name: ClassVar[str]
    version: ClassVar[str]
    weights_digest: ClassVar[str | None] = None
    script: ClassVar[Path]
    curve_units: ClassVar[dict[str, str]] = {}

    def __init__(self, rule: EventParams) -> None:
        self._rule = rule

    @property
    def params(self) -> dict[str, Any]:
        return self._rule.model_dump(mode="json")

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the worker is told of how to measure."""

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """One result per clip, without its sound; clips without anything to hear come first and start no process.

        Raises:
            UserError: the worker's environment cannot be built or started; no space for the sound.
        """
        with tempfile.TemporaryDirectory(prefix="emotrace-voice-") as folder:
            waiting: dict[str, Clip] = {}
            for number, clip in enumerate(clips):
                unheard = self._unheard(clip)
                if unheard is not None:
                    yield clip, unheard
                else:
                    _write_sound(Path(folder) / f"{number}.npy", clip)
                    waiting[str(number)] = clip.without_sound()
            if waiting:
                yield from self._measured(waiting, Path(folder))

    def _unheard(self, clip: Clip) -> Features | ItemError | None:
        try:
            missing = why_unheard(clip)
        except ItemError as error:
            return error
        if missing is None:
            return None
        return features_of(self, clip, missing=missing, summary=dict.fromkeys(SUMMARY_UNITS))

    def _measured(
        self, waiting: dict[str, Clip], folder: Path
    ) -> Iterator[tuple[Clip, Features | ItemError]]:
        manifest = [self._row(key, clip, folder) for key, clip in waiting.items()]
        with contextlib.closing(run_worker(self.script, manifest)) as messages:
            for message in messages:
                clip = waiting[message["id"]]
                if message["type"] != "error":
                    yield clip, self._result(clip, message, folder)
                elif message["code"] == "no_space":  # every other clip would fail with it
                    raise UserError("no_space", "no space left", "free disk space, run again", str(folder))
                else:
                    yield clip, ItemError(message["code"], f"{self.name}: {message['message']}")

    def _row(self, key: str, clip: Clip, folder: Path) -> Message:
        return {
            "id": key,
            "audio": str(folder / f"{key}.npy"),
            "out": str(folder / f"{key}.npz"),
            "sample_rate_hz": SAMPLE_RATE_HZ,
            "frame_s": FRAME_S,
            "stretches_s": _borders(stretches(clip)),
            "where_s": None if clip.where is None else _borders(clip.where),
            **self.settings(),
        }

    def _result(self, clip: Clip, message: Message, folder: Path) -> Features | ItemError:
        try:
            return self._read(clip, message, folder / f"{message['id']}.npy")
        except Exception as error:  # noqa: BLE001 - one clip must not end the shard
            return ItemError("prosody_failed", f"{self.name}: {type(error).__name__}: {error}")

    def _read(self, clip: Clip, message: Message, sound: Path) -> Features:
        """The features of one clip from its sound and the worker's .npz, then deleted: a shard may be long."""
        audio: Audio = np.load(sound, allow_pickle=False)
        path = Path(message["out"])
        with np.load(path, allow_pickle=False) as file:
            curves: dict[str, Curve] = {name: file[name].astype(np.float64) for name in file.files}
        sound.unlink()
        path.unlink()
        speech, measured = speech_frames(clip, audio)
        pitch_hz = np.where(speech, curves.pop("pitch_hz"), np.nan)
        level_db = curves.pop("level_db") if "level_db" in curves else intensity_db(audio)
        times_s = tuple(round(float(time_s), 3) for time_s in frame_times(audio))
        more = tuple(
            Series(name=name, unit=self.curve_units[name], times_s=times_s, values=_told(values, speech))
            for name, values in curves.items()
        )
        voice = Voice(pitch_hz, level_db, speech, measured, _numbers(message["numbers"]), more)
        return features_of(self, clip, **describe(voice, self._rule), notes=(message["program"],))


def _borders(spans: Iterable[Span]) -> list[list[float]]:
    return [[span.start_s, span.end_s] for span in spans]


def _write_sound(path: Path, clip: Clip) -> None:
    assert clip.audio is not None
    try:
        np.save(path, clip.audio, allow_pickle=False)
    except OSError as error:
        raise UserError("no_space", f"the sound of a clip cannot be written: {error.strerror}",
                        "free disk space, run again", str(path.parent)) from error  # fmt: skip


def _told(values: Curve, speech: Any) -> tuple[float | None, ...]:
    known = speech & np.isfinite(values)
    return tuple(round(float(v), 2) if there else None for v, there in zip(values, known, strict=True))


def _numbers(numbers: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 5) for name, value in numbers.items()}
