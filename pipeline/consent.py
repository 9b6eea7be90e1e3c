"""Who may be shown a sample: what people agreed to, compared with whether a model is a third party's.

A model is a third party's unless its rules run here or its server stands here (`ModelSection.stays_here`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from pipeline.facts import Facts, is_withdrawn, looked_through, named_key, shown_with, speaker_subject
from schemas.parts import name_key
from schemas.records import Sample, Segment
from schemas.settings import ConsentSection


@dataclass
class Consent:
    """What is said of recordings, their stretches and people, by subject; and how the project reads it."""

    facts: Mapping[str, Facts]
    reading: ConsentSection

    def keeps_here(self, sample: Sample, segment: Segment) -> bool:
        """Whether nothing of the sample may leave for a third party.

        One saying that forbids it is enough, and a nearer one does not lift it: of the recording, of any stretch
        that the segment shares time with (the clip shows it), or of anybody who is named in the sample, in the
        turns before it, too. Where `third_parties` lists what allows it, silence and any other word forbid it.
        """
        said = list(self._said(sample, segment))
        if any(is_withdrawn(facts) or self._forbids(facts) for facts in said):
            return True
        return self.reading.third_parties is not None and not any(map(self._allows, said))

    def is_taken_back(self, sample: Sample, segment: Segment) -> bool:
        """Whether anybody who is shown or named in the sample took their consent back: nobody sees it then."""
        return any(map(is_withdrawn, self._said(sample, segment)))

    def may_see(self, sample: Sample, segment: Segment, *, third_party: bool) -> bool:
        """Whether a model may be shown the sample, where it is an example for another one."""
        if third_party:
            return not self.keeps_here(sample, segment)
        return not self.is_taken_back(sample, segment)

    def _said(self, sample: Sample, segment: Segment) -> Iterator[Facts]:
        own = self.facts.get(segment.source_id, {})
        yield own
        parts, shown = looked_through(own), [one.said for one in shown_with(own, segment)]
        yield from shown
        if sample.context:  # whose words of before those are cannot be told where their stretch names nobody
            yield from parts.of_nobody_before(segment.source_start_s)
        for name in {*_people(sample), *map(named_key, (own, *shown))} - {""}:
            yield from parts.of_person(name)
            yield from self._of_speakers.get(name, ())

    @cached_property
    def _of_speakers(self) -> dict[str, list[Facts]]:
        """What is said of people themselves, by `name_key`: one may be written in several ways."""
        found = defaultdict(list)
        for subject, said in self.facts.items():
            name = subject.removeprefix(speaker_subject(""))
            if name != subject:
                found[name_key(name)].append(said)
        return found

    def _forbids(self, facts: Facts) -> bool:
        words = _plain(facts.get("consent"))
        allowed = self.reading.third_parties
        return words in map(_plain, self.reading.local_only) or bool(
            words and allowed is not None and words not in map(_plain, allowed)
        )

    def _allows(self, facts: Facts) -> bool:
        return _plain(facts.get("consent")) in map(_plain, self.reading.third_parties or ())


def _people(sample: Sample) -> Iterator[str]:
    """Everybody whose words, voice or face a prompt about the sample may hold, as `name_key` writes them."""
    heard = (part.speaker for parts in (sample.turns, sample.words, sample.context) for part in parts)
    names = [sample.target.speaker, *(other.speaker for other in sample.others), *heard]
    return (name_key(name) for name in names if name)


def _plain(consent: object) -> str:
    """Words without case, blanks and signs: "Local-only" is "local_only"."""
    return re.sub(r"[\W_]+", " ", str(consent or "")).strip().casefold()
