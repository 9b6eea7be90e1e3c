"""How wrong turns are: make bench NAME=diarization [ARGS="REFERENCE.rttm FOUND.rttm"]

Diarization error rate: missed speech, false speech and confused speakers as a share of the speech of the
reference, with overlap and without a collar, under the best pairing of names. Without arguments it is that of
"one speaker, wherever there is speech" on the shared recordings: what a diarizer must be better than. Backends
are measured by make bench NAME=accuracy with settings that name one.

Reference: https://pyannote.github.io/pyannote-metrics/reference.html#diarization (Bredin 2017,
DOI 10.21437/Interspeech.2017-411)
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from benchmarks.paired import emit
from pipeline.features.rttm import read_turns, split_rttm
from pipeline.media.decode import decode, read_audio
from pipeline.media.probe import probe
from pipeline.media.vad import speech_regions
from schemas.parts import SpeakerTurn
from tests.conftest import data_dir

RECORDINGS = {"ami_dev00.wav": "dev00", "ami_dev01.wav": "dev01"}  # in media/audio -> file id
REFERENCE = "ami_debug.development.rttm"
Turns = Sequence[SpeakerTurn]


def main(reference: str | None = None, found: str | None = None) -> None:
    if reference is None:
        truth, answers = _one_speaker(data_dir() / "media" / "audio")
    elif found is None:
        raise SystemExit("give two files: REFERENCE.rttm FOUND.rttm")
    else:
        truth, answers = turns_in(Path(reference)), turns_in(Path(found))
    for name, turns in truth.items():
        print(f"{name:20} {error_rate([(turns, answers.get(name, ()))]):.3f}")
    pairs = [(turns, answers.get(name, ())) for name, turns in truth.items()]
    emit("diarization_error_rate", error_rate(pairs), "share of speech", None, None, True, len(pairs))


def error_rate(pairs: Iterable[tuple[Turns, Turns]], length_s: float | None = None) -> float:
    """Diarization error rate over recordings, each as (reference, found).

    `length_s`: all of every recording is scored up to there; None: from the first to the last turn of both.
    """
    metric = DiarizationErrorRate(collar=0.0, skip_overlap=False)
    for reference, found in pairs:
        last_s = length_s or max((turn.end_s for turn in (*reference, *found)), default=0.0)
        metric(_annotation(reference), _annotation(found), uem=Timeline([Segment(0.0, last_s)]))
    return abs(metric)


def _annotation(turns: Turns) -> Annotation:
    found = Annotation()
    for number, turn in enumerate(turns):
        found[Segment(turn.start_s, turn.end_s), number] = turn.speaker
    return found


def turns_in(path: Path) -> dict[str, list[SpeakerTurn]]:
    """File id -> its turns.

    Raises:
        UserError: the file cannot be read, with its line.
    """
    return {name: [turn for _, turn in read_turns(lines, path)] for name, lines in split_rttm(path).items()}


def _one_speaker(folder: Path) -> tuple[Mapping[str, Turns], Mapping[str, Turns]]:
    answers: dict[str, Turns] = {}
    for name, file_id in RECORDINGS.items():
        if not (folder / name).exists():
            raise SystemExit(f"{folder / name} is not there: set EMOTRACE_TEST_DATA, or give two files")
        with tempfile.TemporaryDirectory() as scratch:
            audio = decode(folder / name, probe(folder / name), Path(scratch)).audio
            assert audio is not None
            speech = speech_regions(read_audio(audio))
        answers[file_id] = [SpeakerTurn(start_s=s.start_s, end_s=s.end_s, speaker="one") for s in speech]
    return turns_in(folder / REFERENCE), answers


if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
