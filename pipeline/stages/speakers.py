"""Speakers: who says which words and which face speaks, joined from what was measured of a segment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pipeline.features.active_speaker import voices_of_faces, with_speaking
from pipeline.features.speakers import alone, speak
from pipeline.stages.base import Run, each, shards
from pipeline.stages.extract import shift, source_speech
from pipeline.stages.samples import PAGE
from pipeline.stages.scenes import scene
from schemas.ids import content_digest
from schemas.parts import SpeakerTurn
from schemas.record import Record
from schemas.records import Features, Segment
from schemas.store import Stub

VERSION = "1"


class _Item(NamedTuple):
    segment: Segment
    turns: tuple[SpeakerTurn, ...]  # in segment time, under the names that the recording's turns give
    question: dict[str, Any]
    asr: str | None
    au: str | None


class SpeakersStage:
    """One record per segment with somebody's turn or a face in it; of others there is nothing to join."""

    name = "speakers"
    shard_size = 100

    def plan(self, run: Run) -> list[Any]:
        there = run.project.store.digests(Features)
        speech = self._speech(run)
        items = []
        for page in shards(run.segments, PAGE):
            ids = [i for segment in page for i in run.feature_ids.get(segment.id, {}).values()]
            measured = run.project.store.stubs(Features, ids)
            for segment in page:
                item = self._item(run, segment, measured, speech.get(segment.source_id))
                if item is None:
                    continue
                feature_id = Features(**item.question).id
                run.feature_ids[segment.id][self.name] = feature_id
                if feature_id not in there:
                    items.append(item)
        return items

    def _item(
        self, run: Run, segment: Segment, measured: dict[str, Stub], speech: str | None
    ) -> _Item | None:
        ids = run.feature_ids.get(segment.id, {})
        asr, au = (measured.get(ids.get(stage, "")) for stage in ("asr", "au"))
        heard = scene(run, segment)
        turns = run.casts[segment.source_id].turns_in(segment) if heard.turns else ()
        faces = au is not None and "faces" in au.brief
        if not turns and not faces:
            return None
        of = {
            "turns": content_digest([turn.model_dump(mode="json") for turn in turns]),
            "asr": asr.digest if asr and turns else None,
            "au": au.digest if au and faces else None,
            "speech": speech if faces else None,
        }
        question = {
            "subject_id": segment.id,
            "extractor": "core",
            "version": VERSION,
            "params": {"of": of},
            "stage": self.name,
        }
        return _Item(
            segment, turns, question, asr.id if asr and turns else None, au.id if au and faces else None
        )

    def _speech(self, run: Run) -> dict[str, str]:
        """Source -> digest of its speech regions."""
        stubs = run.project.store.stubs(Features, run.source_feature_ids).values()
        return {str(stub.parent): stub.digest for stub in stubs if stub.brief["stage"] == "speech"}

    def work(self, run: Run, items: Sequence[_Item]) -> None:
        speech = source_speech(run, sorted({item.segment.source_id for item in items}))

        def join(item: _Item) -> list[Record]:
            wanted = [i for i in (item.asr, item.au) if i is not None]
            found = {f.id: f for f in run.project.store.by_id(Features, wanted)}
            regions = shift(speech.get(item.segment.source_id, ()), item.segment)
            names = sorted({turn.speaker for turn in item.turns})
            words = found[item.asr].words if item.asr else ()
            tracks, series = (found[item.au].tracks, found[item.au].series) if item.au else ((), ())
            by_voice = {name: alone(item.turns, name) for name in names}
            return [
                Features(
                    **item.question,
                    words=speak(words, item.turns),
                    turns=item.turns,
                    tracks=with_speaking(tracks, series, regions),
                    summary=dict(voices_of_faces(tracks, series, by_voice)),
                )
            ]

        each(
            run,
            self.name,
            items,
            join,
            name=lambda item: Features(**item.question).id,
            path=lambda item: run.path_text(run.source_of(item.segment)),
        )

    def finish(self, run: Run) -> None:
        """What was measured stands as a whole once it is joined."""
        there = run.project.store.digests(Features)
        wanted = [i for stages in run.feature_ids.values() for i in stages.values()]
        run.project.store.set_live(Features, [i for i in (*run.source_feature_ids, *wanted) if i in there])
