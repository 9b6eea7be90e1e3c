"""What the rows of one ingest say becomes facts; what a person should know of it becomes a note."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.facts import ROW, Facts, is_withdrawn, speaker_subject, speakers_named, stretch_key
from pipeline.importers.manifest import ManifestRow
from schemas.store import Store


@dataclass
class Listener:
    """Takes what one ingest says. A withdrawal is never taken back in passing: `renew_consent` must say so."""

    renew_consent: bool = False
    notes: list[str] = field(default_factory=list)

    def hear(self, of: str, before: Mapping[str, Any], said: Mapping[str, Any]) -> Facts:
        """What becomes a fact of what is said `of` something of which `before` was known."""
        if not (is_withdrawn(before) and "consent" in said and not is_withdrawn(said)):
            return dict(said)
        if self.renew_consent:
            self.notes.append(f'{of}: consent was withdrawn and is now "{said["consent"]}"')
            return dict(said)
        self.notes.append(f"{of}: consent stays withdrawn; --renew-consent gives it again")
        return {key: value for key, value in said.items() if key != "consent"}


def said_of_recording(
    rows: Sequence[ManifestRow], own: Mapping[str, Any], defaults: Mapping[str, Any], listener: Listener
) -> Facts:
    """What the rows of one recording say: those with times of their stretch, the others of all of it.

    `own` is what is known of it: what a row leaves empty stays as it was said before. `defaults` are said of
    every file of the call.
    """
    name = "" if rows[-1].path is None else rows[-1].path.name
    of_all = {**defaults, **{k: v for row in rows if row.start_s is None for k, v in row.facts.items()}}
    said: Facts = {"name": name, **listener.hear(name, own, of_all)}
    for row in rows:
        if row.start_s is not None:
            key = stretch_key(row.start_s, row.end_s)
            before = said.get(key) or own.get(key, {})
            heard = listener.hear(f"{name} {key}", before, row.facts)
            said[key] = {**before, **heard, ROW: f"{row.manifest}:{row.line}"}
    return said


def say_of_speakers(store: Store, rows: Sequence[ManifestRow], listener: Listener) -> list[str]:
    """Store what rows without a path say of their speakers, and give their names."""
    known = store.facts(speaker_subject(row.facts["speaker"]) for row in rows)
    news: dict[tuple[str, str], str] = {}
    for row in rows:
        subject = speaker_subject(row.facts["speaker"])
        heard = listener.hear(subject, known.get(subject, {}), row.facts)
        news |= {(subject, key): value for key, value in heard.items() if key != "speaker"}
    store.add_facts((subject, key, value) for (subject, key), value in news.items())
    return sorted({row.facts["speaker"] for row in rows})


def note_unnamed(store: Store, speakers: Sequence[str], notes: list[str]) -> None:
    """A name that is spelt otherwise would withdraw nothing, and nobody would know."""
    named = {name for own in store.facts().values() for name in speakers_named(own)} if speakers else set()
    for name in speakers:
        if name not in named:
            near = difflib.get_close_matches(name, named, n=1, cutoff=0.5)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            notes.append(f'no recording names the speaker "{name}"{hint}')
