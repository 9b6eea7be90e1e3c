"""How right perception is against truth that others wrote: make bench NAME=accuracy [ARGS="FOLDER SETTINGS"]

FOLDER holds recordings and a `truth.csv` (path, measure, truth; a row says one thing of a recording); without it
the shared test recordings and `benchmarks/accuracy.csv` are taken. SETTINGS is a project file (`emotrace.toml`)
that names the backends to measure; without it the default ones are. The recordings are copied away from whatever
stands beside them, so that a transcript or turns given there answer for no backend.

measure        truth                                              printed
transcript     what is said                                       word error rate
language       code of the language ("de")                        given to the backend, as a manifest would
rttm           file of human turns, and its file id               diarization error rate
speech         some | none                                        recordings where that was found
speech_end_s   when the last sound ends                           median distance of the voice activity's end
faces          how many                                           recordings with as many faces at most at once
cuts_content   numbers of the frames that begin a shot            recordings with exactly these
cuts_fade      the same by the fade detector                      recordings with exactly these
cut_times_s    when shots begin                                   recordings with these, to 1 ms
au_order       strong units > weak units                          share of measured pairs in that order
emotion        what an actor was asked for                        median pitch of anger over neutral, sadness

Pitch is compared with Praat on every recording with a transcript (as in `benchmarks.pitch`).
"""

from __future__ import annotations

import csv
import math
import re
import shutil
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import jiwer
import numpy as np
import parselmouth

from benchmarks.diarization import error_rate, turns_in
from benchmarks.paired import emit
from pipeline.commands.show import show
from pipeline.features.base import SAMPLE_RATE_HZ
from pipeline.ingest import ingest
from pipeline.media.decode import DecodeParams, decode
from pipeline.media.probe import probe
from pipeline.project import open_project
from pipeline.run import local_engine, run
from schemas.parts import SpeakerTurn
from tests.conftest import data_dir

TRUTH, COLUMNS = "truth.csv", ("path", "measure", "truth")
OWN_TRUTH = Path(__file__).with_suffix(".csv")
WORDS = jiwer.Compose(
    [
        jiwer.ToLowerCase(),
        jiwer.SubstituteRegexes({r"[’']": "", r"[^\w\s]": " "}),
        jiwer.RemoveMultipleSpaces(),
        jiwer.Strip(),
        jiwer.ReduceToListOfListOfWords(),
    ]
)
TIME_TOLERANCE_S = 0.001
GROSS_SHARE = 0.2  # a frame, voiced for both, that is farther off than this is a gross error


class Line(NamedTuple):
    """One line of the table; `ok` says whether it is as it must be, None where nothing must."""

    name: str
    recordings: int
    value: float
    unit: str
    reference: str
    ok: bool | None = None


@dataclass
class Recording:
    """One recording: what is true of it, and what was found."""

    path: str
    file: Path
    truth: dict[str, str] = field(default_factory=dict)
    found: dict[str, Any] = field(default_factory=dict)  # as `emotrace show --json` tells


def main(folder: str | None = None, settings: str | None = None) -> None:
    root = Path(folder) if folder else data_dir() / "media"
    truth_file = root / TRUTH if folder else OWN_TRUTH
    recordings = read_truth(root, truth_file)
    if not recordings:
        raise SystemExit(f"no recording of {truth_file} is in {root}: set EMOTRACE_TEST_DATA, or give FOLDER")
    with tempfile.TemporaryDirectory(prefix="emotrace-accuracy-") as scratch:
        perceive(recordings, Path(scratch), settings)
        lines = [line for measure in MEASURES for line in measure(recordings)]
    print_table(lines)
    for line in lines:
        emit(line.name, line.value, line.unit, None, None, line.ok is not False, line.recordings)


def read_truth(root: Path, truth_file: Path) -> list[Recording]:
    """The recordings that are there, with what is true of them; others are named and left out."""
    if not truth_file.exists():
        raise SystemExit(f"{truth_file} is not there: write it (columns {', '.join(COLUMNS)})")
    found: dict[str, Recording] = {}
    with truth_file.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            place = f"{truth_file}:{number}"
            if any(row.get(column) is None for column in COLUMNS):
                raise SystemExit(f"{place}: a row needs {', '.join(COLUMNS)}")
            path, measure, truth = (row[column] for column in COLUMNS)
            if measure not in FORMS:
                raise SystemExit(f'{place}: unknown measure "{measure}" -> known: {", ".join(FORMS)}')
            if not re.fullmatch(FORMS[measure], truth):
                raise SystemExit(f'{place}: {measure} cannot be "{truth}" -> see the head of {__file__}')
            found.setdefault(path, Recording(path, root / path)).truth[measure] = truth
    for one in found.values():
        if not one.file.exists():
            print(f"left out, not there: {one.file}")
    return [one for one in found.values() if one.file.exists()]


def perceive(recordings: list[Recording], scratch: Path, settings: str | None) -> None:
    """Take the recordings through a project of their own and note what stands about each."""
    project_dir, copies = scratch / "project", scratch / "recordings"
    project_dir.mkdir()
    text = Path(settings).read_text(encoding="utf-8") if settings else '[project]\nname = "accuracy"\n'
    (project_dir / "emotrace.toml").write_text(text, encoding="utf-8")
    manifest = scratch / "manifest.csv"
    with manifest.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "language"))
        for one in recordings:
            copy = copies / one.path
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(one.file, copy)
            writer.writerow((copy, one.truth.get("language", "en")))
    with open_project(project_dir) as project:
        ingest(project, [str(manifest)])
        run(project, local_engine(), progress=Quiet())
        for one in recordings:
            one.found = show(project, str(copies / one.path)).model_dump(mode="json")


class Quiet:
    """Progress that is told to nobody."""

    def start(self, stage: str, total: int) -> None: ...
    def advance(self, stage: str, n: int = 1) -> None: ...
    def finish(self, stage: str) -> None: ...
    def note(self, stage: str, text: str) -> None: ...


# --- measures -----------------------------------------------------------------------------------------


def words(recordings: list[Recording]) -> Iterator[Line]:
    """Word error rate by the source of the words; a language that the backend does not know stands apart."""
    by_source: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for one in _with(recordings, "transcript"):
        heard = [item["sample"] for item in one.found["items"]]
        source = next((s["words_source"] for s in heard if s["words_source"]), None) or _why_no_words(heard)
        said = " ".join(word["text"] for sample in heard for word in sample["words"])
        by_source[source].append((one.truth["transcript"], said))
    for source, pairs in sorted(by_source.items()):
        truth, said = zip(*pairs, strict=True)
        rate = jiwer.wer(list(truth), list(said), reference_transform=WORDS, hypothesis_transform=WORDS)
        yield Line("word_error_rate", len(pairs), rate, "share", f"given transcripts; words: {source}")


def _why_no_words(samples: list[dict[str, Any]]) -> str:
    return next((s["missing"]["text"] for s in samples if "text" in s["missing"]), "none found")


def speech(recordings: list[Recording]) -> Iterator[Line]:
    expected = [(one, one.truth.get("speech", "some")) for one in recordings if _tells_speech(one)]
    for kind in ("some", "none"):
        right = [bool(one.found["speech"]) == (kind == "some") for one, told in expected if told == kind]
        if right:
            yield _all_right(f"speech_{kind}", right, "whether anybody speaks")
    ends = [
        abs(one.found["speech"][-1]["end_s"] - float(one.truth["speech_end_s"]))
        for one in _with(recordings, "speech_end_s")
        if one.found["speech"]
    ]
    if ends:
        yield Line("speech_end", len(ends), statistics.median(ends), "s off", "end of the last phone")


def _tells_speech(one: Recording) -> bool:
    return "speech" in one.truth or "transcript" in one.truth


def diarization(recordings: list[Recording]) -> Iterator[Line]:
    """Diarization error rate; 1 where nobody was told apart."""
    pairs = []
    for one in _with(recordings, "rttm"):
        name, file_id = one.truth["rttm"].split()
        told = turns_in(one.file.parents[len(Path(one.path).parts) - 1] / name)
        if file_id not in told:
            raise SystemExit(f"{name} tells nothing of {file_id} -> it tells of {', '.join(told)}")
        pairs.append((told[file_id], [SpeakerTurn(**turn) for turn in one.found["turns"]]))
    if pairs:
        missing = {one.found["turns_missing"] for one in _with(recordings, "rttm")} - {None}
        how = f"human turns; found: {', '.join(sorted(missing)) or 'turns'}"
        yield Line("diarization_error", len(pairs), error_rate(pairs), "share of speech", how)


def cuts(recordings: list[Recording]) -> Iterator[Line]:
    for detector in ("content", "fade"):
        told = _with(recordings, f"cuts_{detector}")
        right = [
            _cut_frames(one.file, detector) == [int(n) for n in one.truth[f"cuts_{detector}"].split()]
            for one in told
        ]
        if right:
            yield _all_right(f"cuts_{detector}", right, "published list of frames")
    right = []
    for one in _with(recordings, "cut_times_s"):
        truth = [float(text) for text in one.truth["cut_times_s"].split()]
        starts = [shot["start_s"] for shot in one.found["shots"]][1:]
        right.append(len(starts) == len(truth) and np.allclose(starts, truth, rtol=0, atol=TIME_TOLERANCE_S))
    if right:
        yield _all_right("cut_times", right, "time by the container's stamps")


def _cut_frames(path: Path, detector: Any) -> list[int]:
    with tempfile.TemporaryDirectory() as folder:
        result = decode(path, probe(path), Path(folder), DecodeParams(shot_detector=detector))
    return list(result.cut_frames)


def faces(recordings: list[Recording]) -> Iterator[Line]:
    right = []
    for one in _with(recordings, "faces"):
        most = max((_at_once(item["sample"]["faces"]) for item in one.found["items"]), default=0)
        right.append(most == int(one.truth["faces"]))
    if right:
        yield _all_right("faces", right, "how many are to be seen")


def _at_once(tracks: list[dict[str, Any]]) -> int:
    """The most tracks that stand at one time."""
    return max(
        (sum(t["start_s"] <= one["start_s"] <= t["end_s"] for t in tracks) for one in tracks), default=0
    )


def action_units(recordings: list[Recording]) -> Iterator[Line]:
    for one in _with(recordings, "au_order"):
        strong, weak = (side.split() for side in one.truth["au_order"].split(">"))
        values = _strongest(one.found["items"])
        pairs = [values[a] > values[b] for a in strong for b in weak if a in values and b in values]
        known = sum(name in values for name in (*strong, *weak))
        reference = f"order by another extractor; {known} of {len(strong) + len(weak)} units measured"
        share = sum(pairs) / len(pairs) if pairs else 0.0
        yield Line("au_order", 1, share, "share of pairs", reference, share == 1)


def _strongest(items: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Action unit -> its highest value in a recording."""
    values: dict[str, float] = {}
    for item in items:
        for series in item["features"].get("au", {}).get("series", ()):
            measured = [value for value in series["values"] if value is not None]
            if measured:
                values[series["name"]] = max([*measured, values.get(series["name"], -math.inf)])
    return values


def pitch(recordings: list[Recording]) -> Iterator[Line]:
    """Pitch of every measured stretch against Praat's on the same times."""
    cents, gross, agree = [], [], []
    for one in _with(recordings, "transcript"):
        ours, praat = _both_pitches(one)
        both = ~np.isnan(ours) & ~np.isnan(praat)
        agree.append(float(np.mean(np.isnan(ours) == np.isnan(praat))) if len(ours) else math.nan)
        if both.any():
            cents.append(abs(1200 * math.log2(float(np.nanmedian(ours)) / float(np.nanmedian(praat)))))
            gross.append(float(np.mean(np.abs(ours[both] / praat[both] - 1) > GROSS_SHARE)))
    if cents:
        yield Line("pitch_median", len(cents), statistics.median(cents), "cents off", "Praat")
        yield Line("pitch_gross_error", len(gross), statistics.mean(gross), "share of frames", "Praat")
        yield Line(
            "voicing_disagreement", len(agree), 1 - float(np.nanmean(agree)), "share of frames", "Praat"
        )


def _both_pitches(one: Recording) -> tuple[Any, Any]:
    """What the backend measured and what Praat gives at the same times of the recording, in Hz."""
    with tempfile.TemporaryDirectory() as folder:
        audio = decode(one.file, probe(one.file), Path(folder)).audio
        assert audio is not None, one.path
        sound: Any = parselmouth.Sound(str(audio))
    assert sound.sampling_frequency == SAMPLE_RATE_HZ
    reference = sound.to_pitch_ac(time_step=0.01, pitch_floor=75.0, pitch_ceiling=600.0)
    ours: list[float] = []
    theirs: list[float] = []
    for item in one.found["items"]:
        start_s = item["segment"]["source_start_s"]
        for series in item["features"].get("prosody", {}).get("series", ()):
            if series["name"] == "pitch_hz":
                ours += [math.nan if value is None else value for value in series["values"]]
                theirs += [reference.get_value_at_time(start_s + time_s) for time_s in series["times_s"]]
    return np.array(ours), np.array(theirs)


def acted(recordings: list[Recording]) -> Iterator[Line]:
    """Median pitch of acted anger above that of calmer emotions, in semitones."""
    pitches: dict[str, list[float]] = defaultdict(list)
    for one in _with(recordings, "emotion"):
        ours, _ = _both_pitches(one)
        pitches[one.truth["emotion"]] += [12 * math.log2(hz) for hz in ours if not math.isnan(hz)]
    for calm in ("neutral", "sadness"):
        if pitches.get("anger") and pitches.get(calm):
            above = statistics.median(pitches["anger"]) - statistics.median(pitches[calm])
            yield Line(f"anger_over_{calm}", 2, above, "semitones", "more than 0", above > 0)


def _with(recordings: list[Recording], measure: str) -> list[Recording]:
    return [one for one in recordings if measure in one.truth]


def _all_right(name: str, right: list[bool], reference: str) -> Line:
    return Line(name, len(right), sum(right) / len(right), "share right", reference, all(right))


def print_table(lines: list[Line]) -> None:
    print(f"{'measure':22} {'n':>3} {'value':>8}  {'unit':16} {'right':6} against")
    for line in lines:
        right = {True: "yes", False: "NO", None: ""}[line.ok]
        print(
            f"{line.name:22} {line.recordings:3} {line.value:8.3f}  {line.unit:16} {right:6} {line.reference}"
        )


MEASURES: tuple[Callable[[list[Recording]], Iterable[Line]], ...] = (
    cuts, speech, diarization, words, pitch, acted, faces, action_units,
)  # fmt: skip
ANY, NUMBERS, SECONDS = r"\s*\S.*", r"\d+( \d+)*", r"\d+(\.\d+)?"
UNITS = r"AU\d\d( AU\d\d)*"
FORMS = {  # of what a truth file may say
    "transcript": ANY, "language": ANY, "rttm": r"\S+ \S+", "emotion": ANY, "speech": "some|none",
    "speech_end_s": SECONDS, "faces": r"\d+", "cuts_content": NUMBERS, "cuts_fade": NUMBERS,
    "cut_times_s": rf"{SECONDS}( {SECONDS})*", "au_order": rf"{UNITS} > {UNITS}",
}  # fmt: skip

if __name__ == "__main__":
    import sys

    main(*sys.argv[1:])
