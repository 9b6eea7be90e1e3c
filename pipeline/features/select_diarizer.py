"""Which backend tells who speaks when in a recording: files that state it, a diarizer at hand, or none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from pipeline.features.backends import built
from pipeline.features.diarize_none import NoDiarizer
from pipeline.features.diarize_pyannote import PyannoteDiarizer, PyannoteParams
from pipeline.features.diarize_rttm import RttmFiles, RttmTurns
from pipeline.features.diarize_transcript import TranscriptTurns
from pipeline.features.pyannote_weights import is_reachable
from pipeline.features.recordings import Diarizer
from pipeline.features.select import (
    _option_names,
    backend_names,
    checked_params,
    refuse_unknown_options,
)
from schemas.errors import ItemError, UserError

STAGE = "diarize"


class DiarizerChoice:
    """The rule of a run. What it looked up (files in folders, weights) holds for as long as it is kept.

    A diarizer holds no state of its work: recordings, and shards in threads, may share one.
    """

    def __init__(self, requested: str, options: dict[str, Any]) -> None:
        """Read the settings.

        Raises:
            UserError: an unknown backend or option; a named backend that cannot run here.
        """
        names = backend_names(STAGE)
        if requested not in ("auto", *names):
            known = f"known: auto, {', '.join(names)}"
            raise UserError("unknown_backend", f'unknown {STAGE} backend "{requested}"', known)
        refuse_unknown_options(STAGE, requested, options)
        self._requested, self._options = requested, options
        self._files = RttmFiles(self._params("rttm").path) if requested in ("auto", "rttm") else None
        self._other = self._choose_other()

    def _params(self, name: str) -> Any:
        """The parameters of a backend, from those options that it knows."""
        key = f"{STAGE}.{name}"
        own = {option: self._options[option] for option in _option_names(key) if option in self._options}
        return checked_params(key, own)

    def _choose_other(self) -> Diarizer:
        """What is taken where no file states the turns; what is wrong with it is told at once."""
        if self._requested in ("auto", "pyannote"):
            params = cast(PyannoteParams, self._params("pyannote"))
            if self._requested == "pyannote" or _reachable(params):
                return PyannoteDiarizer(params)
        return NoDiarizer()

    def of(self, recordings: Sequence[Path], language: str | None = None) -> Diarizer:
        """How a recording is diarized; `recordings` are its copies, `language` chooses among its transcripts.

        Raises:
            ItemError: the file that states its turns is wrong, or asked for and missing.
        """
        stated = self._files.of(recordings) if self._files is not None else None
        if stated is not None:
            return RttmTurns(stated, names=_names_in_transcript(recordings, language))
        if self._requested == "rttm":
            name = recordings[0]
            raise ItemError(
                "rttm_missing",
                f"no .rttm file states who speaks in {name.name}",
                f"put {name.stem}.rttm in the same folder, or use another diarize backend; then: emotrace run",
            )
        return self._in_transcript(recordings, language) or self._other

    def _in_transcript(self, recordings: Sequence[Path], language: str | None) -> Diarizer | None:
        """The turns in a transcript, if it is asked; what is wrong with one is told where its words are read."""
        if self._requested not in ("auto", "transcript"):
            return None
        try:
            found = TranscriptTurns.beside(recordings, language)
        except ItemError:
            if self._requested == "transcript":
                raise
            return None
        if found is None and self._requested == "transcript":
            name = recordings[0]
            raise ItemError(
                "speakers_missing",
                f"no transcript beside {name.name} names the speaker of every line, and two or more of them",
                "name them, or use another diarize backend; then: emotrace run",
            )
        return found


def _names_in_transcript(recordings: Sequence[Path], language: str | None) -> TranscriptTurns | None:
    """What is wrong with the transcript is told where its words are read."""
    try:
        return TranscriptTurns.beside(recordings, language, all_lines=False)
    except ItemError:
        return None


def _reachable(params: PyannoteParams) -> bool:
    """Whether diarization can begin without asking: the user named weights or wants them, or all is here.

    Raises:
        UserError: weights that the user named are not there.
    """
    named = params.weights is not None
    return params.download or (is_reachable(params.weights) and (named or built("diarize.pyannote")))
