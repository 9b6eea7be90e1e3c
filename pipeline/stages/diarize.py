"""Diarize: who speaks when in each recording. One item per recording with sound, before anything is measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.facts import source_facts
from pipeline.features.base import question_of
from pipeline.features.devices import computes_on_gpu
from pipeline.features.recordings import Diarizer, Recording
from pipeline.features.select_diarizer import DiarizerChoice
from pipeline.stages.base import Run, Writer, failed
from schemas.errors import ItemError, MediaError
from schemas.records import Features, Source
from schemas.settings import FeatureSection
from schemas.store import ItemOutcome

NAME = "diarize"


@dataclass(frozen=True)
class _Item:
    source: Source
    feature_id: str
    diarizer: Diarizer
    identity: str


class DiarizeStage:
    """Recordings that share a backend with the same parameters go to it together."""

    name = NAME
    shard_size = 8

    def __init__(self) -> None:
        self.spread = True
        self._expected: dict[str, str | None] = {}  # source -> its turns; None: it cannot be told which

    def plan(self, run: Run) -> list[Any]:
        self._expected = {}
        section = run.project.settings.features.get(self.name, FeatureSection())
        sources = self._sources(run)
        if not section.enabled or not sources:
            return []
        kept = self._of_absent_recordings(run, sources)
        choice = DiarizerChoice(section.backend, section.options)
        items: list[_Item] = []
        for source in sources:
            if source.id in kept:
                self._expected[source.id] = kept[source.id]
                continue
            item = self._item(run, source, choice)
            self._expected[source.id] = item.feature_id if item else None
            items += [item] if item else []
        there = run.project.store.stubs(Features, [item.feature_id for item in items])
        missing = [item for item in items if item.feature_id not in there]
        wanted = [item for item in missing if not run.failed_before(self.name, item.feature_id, item.source)]
        self.spread = not any(computes_on_gpu(item.diarizer) for item in wanted)
        return sorted(wanted, key=lambda item: (item.identity, item.source.id))

    def _sources(self, run: Run) -> list[Source]:
        """Recordings with sound that were cut into segments."""
        ids = dict.fromkeys(segment.source_id for segment in run.segments)
        return [run.sources[source_id] for source_id in ids if run.sources[source_id].media.audio]

    def _of_absent_recordings(self, run: Run, sources: Sequence[Source]) -> dict[str, str]:
        """Source -> its turns that stand, where the recording is not there now: they are not told anew.

        Only where none stands yet, because a run was interrupted, the newest ones do.
        """
        absent = [source.id for source in sources if not run.media.known_paths(source)[0].exists()]
        kept = {}
        for source_id, found in run.project.store.stubs_by_parent(Features, absent).items():
            mine = [feature for feature in found if feature.brief["stage"] == self.name]
            standing = [feature for feature in mine if feature.live]
            if mine:
                kept[source_id] = (standing or mine)[-1].id
        return kept

    def _item(self, run: Run, source: Source, choice: DiarizerChoice) -> _Item | None:
        """How a recording is diarized; None when what is said of its turns is wrong."""
        try:
            diarizer = choice.of(run.media.known_paths(source), _language(run, source))
        except ItemError as error:
            run.fail(failed(self.name, source.id, run.path_text(source), error))
            return None
        feature_id = Features(**question_of(diarizer, source.id)).id
        return _Item(source, feature_id, diarizer, _identity(diarizer))

    def work(self, run: Run, items: Sequence[_Item]) -> None:
        by_backend: dict[str, list[_Item]] = {}
        for item in items:
            by_backend.setdefault(item.identity, []).append(item)
        with Writer(run, self.name) as writer:
            for group in by_backend.values():
                self._diarize(run, group, writer)

    def _diarize(self, run: Run, items: list[_Item], writer: Writer) -> None:
        ids = {item.source.id: item.feature_id for item in items}
        recordings = self._recordings(run, items)
        for recording, result in items[0].diarizer.diarize(recordings):
            item = ids[recording.source.id]
            if isinstance(result, ItemError):
                name = run.path_text(recording.source)
                writer.add([], [failed(self.name, item, name, result)])
            else:
                writer.add([result], [ItemOutcome(self.name, item, "done")])
            run.progress.advance(self.name)
            run.stop_if_cancelled()

    def _recordings(self, run: Run, items: Sequence[_Item]) -> Iterator[Recording]:
        for item in items:
            run.stop_if_cancelled()
            yield Recording(item.source, partial(_audio, run, item.source))

    def finish(self, run: Run) -> None:
        """Turns stand with what else is known of sources; where they failed, the segments wait for them."""
        wanted = [feature_id for feature_id in self._expected.values() if feature_id]
        run.source_feature_ids += wanted
        there = run.project.store.stubs(Features, wanted)
        waiting = {source_id for source_id, feature_id in self._expected.items() if feature_id not in there}
        for segment in run.segments:
            if segment.source_id in waiting:
                run.feature_ids.setdefault(segment.id, {})[self.name] = NO_TURNS


NO_TURNS = "none"  # stands for an id that is never there


def _language(run: Run, source: Source) -> str | None:
    """In which language a transcript of a recording is looked for, as when its words are read."""
    settings = run.project.settings
    asked = settings.feature("asr").options.get("language")
    return asked or source_facts(run.facts, source.id).get("language") or settings.project.language


def _identity(diarizer: Diarizer) -> str:
    return f"{diarizer.name} {diarizer.version} {diarizer.params} {diarizer.weights_digest}"


def _audio(run: Run, source: Source) -> Path:
    decoded = run.media.decoded(source)
    if decoded.audio is None:
        raise MediaError("undecodable", f"{run.path_text(source)}: no sound of it could be decoded")
    return decoded.audio
