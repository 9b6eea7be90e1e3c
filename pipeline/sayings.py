"""What the rows of one ingest say becomes facts; what a person should know of it becomes a note."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.facts import ROW, Facts, is_withdrawn, speaker_subject, speakers_named, stretch_key
from pipeline.importers.manifest import ManifestRow
from schemas.store import Store


def said_of_recording(
    rows: Sequence[ManifestRow], own: Mapping[str, Any], defaults: Mapping[str, Any], notes: list[str]
) -> Facts:
    """What the rows of one recording say: those with times of their stretch, the others of all of it.

    `own` is what is known of it: what a row leaves empty stays as it was said before. `defaults` are said of
    every file of the call.
    """
    name = "" if rows[-1].path is None else rows[-1].path.name
    said: Facts = {"name": name, **_lasting(defaults, own, name, notes)}
    for row in rows:
        if row.start_s is None:
            _note_consent(name, own, row.facts, notes)
            said |= row.facts
        else:
            key = stretch_key(row.start_s, row.end_s)
            before = said.get(key) or own.get(key, {})
            _note_consent(f"{name} {key}", before, row.facts, notes)
            said[key] = {**before, **row.facts, ROW: f"{row.manifest}:{row.line}"}
    return said


def say_of_speakers(store: Store, rows: Sequence[ManifestRow], notes: list[str]) -> list[str]:
    """Store what rows without a path say of their speakers, and give their names."""
    known = store.facts(speaker_subject(row.facts["speaker"]) for row in rows)
    news: dict[tuple[str, str], str] = {}
    for row in rows:
        subject = speaker_subject(row.facts["speaker"])
        _note_consent(subject, known.get(subject, {}), row.facts, notes)
        news |= {(subject, key): value for key, value in row.facts.items() if key != "speaker"}
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


def _lasting(
    defaults: Mapping[str, Any], own: Mapping[str, Any], name: str, notes: list[str]
) -> Mapping[str, Any]:
    """What a call says of all its files. It takes no withdrawal back: it is said of nobody in particular."""
    if "consent" not in defaults or is_withdrawn(defaults) or not is_withdrawn(own):
        return defaults
    notes.append(f"{name}: consent stays withdrawn; only a manifest row for it can give it again")
    return {key: value for key, value in defaults.items() if key != "consent"}


def _note_consent(of: str, before: Mapping[str, Any], said: Mapping[str, str], notes: list[str]) -> None:
    if is_withdrawn(before) and "consent" in said and not is_withdrawn(said):
        notes.append(f'{of}: consent was withdrawn and is now "{said["consent"]}"')
