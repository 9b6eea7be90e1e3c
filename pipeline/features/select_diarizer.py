"""Which backend tells who speaks when in a recording: a file that states it, a diarizer at hand, or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

from pipeline.features.diarize_none import NoDiarizer
from pipeline.features.diarize_pyannote import PyannoteDiarizer
from pipeline.features.diarize_rttm import RttmFiles, RttmTurns
from pipeline.features.pyannote_weights import is_reachable
from pipeline.features.recordings import Diarizer
from pipeline.features.select import _build, _option_names, backend_names, built, refuse_unknown_options
from schemas.errors import ItemError, UserError

STAGE = "diarize"
Make = Callable[[], Diarizer]  # a backend may hold state, and shards run in threads: each makes its own


class DiarizerChoice:
    """The rule of a run. What it looked up (files in folders, weights) holds for as long as it is kept."""

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
        self._files = RttmFiles(options.get("path")) if requested in ("auto", "rttm") else None
        self._other = self._choose_other()

    def _choose_other(self) -> Make:
        """What is taken where no file states the turns."""
        own = {
            name: self._options[name] for name in _option_names("diarize.pyannote") if name in self._options
        }
        if self._requested == "pyannote" or (self._requested == "auto" and _reachable(own)):
            make = partial(_pyannote, own)
            make()  # what is wrong with its settings or weights is told before anything is begun
            return make
        return NoDiarizer

    def of(self, recordings: Sequence[Path]) -> Make:
        """How a recording is diarized; `recordings` are its copies.

        Raises:
            ItemError: the file that states its turns is wrong, or asked for and missing.
        """
        stated = self._files.of(recordings) if self._files is not None else None
        if stated is not None:
            return partial(RttmTurns, stated)
        if self._requested == "rttm":
            name = recordings[0]
            raise ItemError(
                "rttm_missing",
                f"no .rttm file states who speaks in {name.name}",
                f"put {name.stem}.rttm in the same folder, or use another diarize backend; then: emotrace run",
            )
        return self._other


def _reachable(options: dict[str, Any]) -> bool:
    """Whether diarization can begin without asking: the user named weights or wants them, or all is here.

    Raises:
        UserError: weights that the user named are not there.
    """
    if options.get("download"):
        return True
    weights = options.get("weights")
    return is_reachable(weights) and (weights is not None or built("diarize.pyannote"))


def _pyannote(options: dict[str, Any]) -> Diarizer:
    return cast(PyannoteDiarizer, _build("diarize.pyannote", options, None))
