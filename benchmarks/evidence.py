"""How right the evidence check is against references it does not know: make bench NAME=evidence [ARGS=FOLDER]

True and false claims about the shared test recordings, taken through the real pipeline with its own settings
(FOLDER keeps what was measured for the next time). What is true is decided apart: pitch, level and silences by
Praat in several settings and by WORLD, faces and heads by landmarks of every frame and plain geometry, a picture
by published numbers. Where programs or settings of one disagree, or a distance lies between "surely not"
and "surely", it is undecided: its verdicts are printed in a row of their own and not counted as right or wrong.

Transcripts, word times, turns and tables are references that the pipeline itself takes in. What is claimed of
them is printed apart ("imported: consistency only"), since it cannot show that a measurement is right.

Precision and recall are of `contradicted` among decided claims with an independent reference, near ones included:
both must be 0.95 at least. A false claim that is called not measurable counts as missed. Then: how many sentences
of a set that was kept apart from that of tests/agents/claims_dev.csv are understood, how many wrongly, and what a
check costs.
"""

from __future__ import annotations

import csv
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path

from agents.evidence.claims import Claim, read_claims
from agents.questions.prompting import is_shown, measured_features
from benchmarks import evidence_face, evidence_five, evidence_probes, evidence_published
from benchmarks.evidence_media import Piece, pieces
from benchmarks.evidence_probes import Probe, claim
from benchmarks.paired import emit, emit_limited, measured, paired
from pipeline.metrics.proportion import wilson_interval
from schemas.cues import cue_table
from schemas.parts import Evidence, Verdict, Word
from tests.conftest import data_dir

SEED = 20
MOST, MOST_QUOTES = (
    40,
    160,
)  # claims of one cue with one truth: no cue may decide the whole; text has one alone
LIMIT = 0.05
OFTEN = 5  # times that a cue must be there for its presence to count as tested
SENTENCES = Path(__file__).with_name("evidence_claims.csv")
SAID = ["well", "I", "think", "it", "is", "fine", "thank", "you"]
NAMES = ("supported", "contradicted", "not_measurable", "outside_clip")
CLAIMS, RUNS, REPEATS, LONGER = 8, 5, 20, 8
Judged = tuple[Probe, Verdict]


def main(folder: str | None = None) -> None:
    data = data_dir()
    if not (data / "media").is_dir():
        raise SystemExit(f"no test media in {data}: set EMOTRACE_TEST_DATA")
    place = nullcontext(folder) if folder else tempfile.TemporaryDirectory(prefix="emotrace-evidence-")
    with place as scratch:
        Path(scratch).mkdir(exist_ok=True)
        found = pieces(data, Path(scratch))
        probes = balanced(all_probes(found, data, Path(scratch)))
    judged = [(probe, probe.piece.verdicts([probe.item])[0]) for probe in probes]
    report(judged)
    read_sentences()
    costs(found)
    decided = [pair for pair in judged if pair[0].truth]
    counted = independent(decided)
    true, called, meant = _contradicted(counted)
    emit("evidence_claims", len(decided), "decided claims", None, None, len(decided) >= 1000, len(judged))
    emit(
        "evidence_independent",
        len(counted),
        "decided claims, reference not imported",
        None,
        None,
        True,
        len(decided),
    )
    emit_limited("evidence_missed", 1 - true / meant, "share of false claims", LIMIT, meant)
    emit_limited("evidence_wrongly_contradicted", 1 - true / called, "share of verdicts", LIMIT, called)


def all_probes(found: Sequence[Piece], data: Path, scratch: Path) -> list[Probe]:
    rng = random.Random(SEED)
    return [
        *evidence_probes.heard(found, rng),
        *evidence_probes.rates(found, rng),
        *evidence_probes.quoted(found, rng),
        *evidence_probes.undecidable(found, rng),
        *evidence_face.seen(found, data, scratch, rng),
        *evidence_five.seen(found, scratch, rng),
        *evidence_published.published(found, data, rng),
    ]


def balanced(probes: Iterable[Probe]) -> list[Probe]:
    """At most MOST claims of each cue, truth, and nearness, drawn by chance."""
    groups: dict[tuple[str, object, bool], list[Probe]] = defaultdict(list)
    for probe in probes:
        groups[cue_of(probe.item), probe.truth, probe.near].append(probe)
    rng = random.Random(SEED)
    return [
        probe
        for (cue, _, _), group in sorted(groups.items(), key=lambda pair: str(pair[0]))
        for probe in rng.sample(group, min(MOST_QUOTES if cue == "quote" else MOST, len(group)))
    ]


def cue_of(item: Evidence) -> str:
    """The cue that is claimed, whatever it is called."""
    table = cue_table()
    cue = table.find(item.cue, item.direction)
    pole = None if cue is None else table.claimed(cue, item.direction)
    return pole.cue if pole else item.cue


# --- what is printed ---------------------------------------------------------------------------------


def independent(judged: Sequence[Judged]) -> list[Judged]:
    """Those whose reference the pipeline does not take in itself."""
    return [pair for pair in judged if pair[0].reference not in evidence_probes.IMPORTED]


def report(judged: Sequence[Judged]) -> None:
    counted = independent(judged)
    decided = [pair for pair in counted if pair[0].truth]
    imported = [pair for pair in judged if pair[0].reference in evidence_probes.IMPORTED]
    print(
        f"{len(decided)} claims decided by an independent reference, {len(counted) - len(decided)} undecided"
    )
    near = [pair for pair in counted if pair[0].near]
    confusion("independent references", counted)
    confusion("near the threshold", near)
    confusion("clear of it", [pair for pair in counted if not pair[0].near])
    confusion("imported: consistency only", imported)
    told = "told to a model that is given the text"
    by("modality", decided, lambda probe: probe.item.modality)
    by("measurement", decided, lambda probe: told if shown(probe) else "not told")
    by("direction", decided, lambda probe: probe.item.direction)
    by("language", decided, lambda probe: probe.piece.source.language)
    by("speaker", decided, lambda probe: probe.piece.sample.target.speaker or probe.piece.source.speaker)
    by("reference", decided, lambda probe: probe.reference)
    by("imported: consistency only", [p for p in imported if p[0].truth], lambda probe: probe.reference)
    by("cue", decided, lambda probe: cue_of(probe.item))
    by_presence(decided)
    by("cue, near", [pair for pair in near if pair[0].truth], lambda probe: cue_of(probe.item))
    by_undecided([pair for pair in judged if not pair[0].truth])
    print("\nwhat each reference is")
    for name in sorted({probe.reference for probe, _ in judged}):
        kind = "imported" if name in evidence_probes.IMPORTED else "independent"
        print(f"{kind}: {name}: {(evidence_probes.IMPORTED | evidence_probes.INDEPENDENT)[name]}")


def by_presence(judged: Sequence[Judged]) -> None:
    """How often each cue is there and is not, claimed and denied; how right the check is on those that happen.

    Of a cue that never happens only absence is tested, which a check that finds nothing would get right as well.
    """
    true_or_false = [pair for pair in judged if pair[0].truth in ("supported", "contradicted")]
    there = Counter(cue_of(probe.item) for probe, _ in true_or_false if happens(probe))
    print(f"\n{'cue':24}{'there: claimed':>16}{'denied':>8}{'not there: claimed':>20}{'denied':>8}")
    counts = Counter((cue_of(p.item), happens(p), p.item.direction == "absent") for p, _ in true_or_false)
    for cue in sorted({cue_of(probe.item) for probe, _ in true_or_false}):
        there_said, there_denied, said, denied = (
            counts[cue, holds, absent] for holds in (True, False) for absent in (False, True)
        )
        print(f"{cue:24}{there_said:16}{there_denied:8}{said:20}{denied:8}")
    by(
        "cues by how often they happen",
        true_or_false,
        lambda probe: (
            f"{OFTEN} times or more" if there[cue_of(probe.item)] >= OFTEN else f"less than {OFTEN} times"
        ),
    )
    blind = [(probe, found_nothing(probe)) for probe, _ in true_or_false]
    print(f"{'a check that finds nothing, ever':55}{rates(blind)}")


def happens(probe: Probe) -> bool:
    """Whether what the claim is about is there, whether it is claimed or denied."""
    return (probe.truth == "supported") != (probe.item.direction == "absent")


def found_nothing(probe: Probe) -> Verdict:
    """What a check would say that takes nothing for there: the line that any check must beat."""
    denied = probe.item.direction == "absent"
    return Verdict(evidence_id=probe.item.id, verdict="supported" if denied else "contradicted", reason="-")


def by_undecided(judged: Sequence[Judged]) -> None:
    """What the check says where the reference says nothing, by the reason why it does not."""
    print(f"\n{'undecided':46}" + "".join(f"{name:>16}" for name in NAMES))
    for reference in sorted({probe.reference for probe, _ in judged}):
        counts = Counter(verdict.verdict for probe, verdict in judged if probe.reference == reference)
        print(f"{reference[:45]:46}" + "".join(f"{counts[name]:16}" for name in NAMES))


def shown(probe: Probe) -> bool:
    """Whether the measurement stands in the prompt of a model that takes text."""
    item = probe.item
    cue = cue_table().find(item.cue, item.direction)
    return is_shown(cue, item.cue, item.modality, item.direction, measured_features(probe.piece.sample))


def confusion(title: str, judged: Sequence[Judged]) -> None:
    counts = Counter((probe.truth, verdict.verdict) for probe, verdict in judged)
    print(f"\n{title}: truth down, verdict across")
    print(f"{'':16}" + "".join(f"{name:>16}" for name in NAMES))
    for truth in (*NAMES, None):
        print(f"{truth or 'undecided':16}" + "".join(f"{counts[truth, name]:16}" for name in NAMES))
    print(f"contradicted, of the decided: {rates([pair for pair in judged if pair[0].truth])}")


def by(title: str, judged: Sequence[Judged], key: Callable[[Probe], str]) -> None:
    groups: dict[str, list[Judged]] = defaultdict(list)
    for pair in judged:
        groups[key(pair[0])].append(pair)
    print(f"\n{title:46}{'claims':>7}  right  contradicted: precision, recall, 95 % intervals")
    for name, group in sorted(groups.items()):
        right = sum(probe.truth == verdict.verdict for probe, verdict in group) / len(group)
        print(f"{name[:45]:46}{len(group):7}  {right:5.3f}  {rates(group)}")


def rates(judged: Sequence[Judged]) -> str:
    true, called, meant = _contradicted(judged)
    parts = [(true, called), (true, meant)]
    return "  ".join(
        f"{hits / of:.3f} ({low:.3f}-{high:.3f}) of {of}" if of else "-"
        for hits, of in parts
        for low, high in [wilson_interval(hits, of)]
    )


def _contradicted(judged: Sequence[Judged]) -> tuple[int, int, int]:
    """Rightly called contradicted, called so, and false."""
    called = [probe for probe, verdict in judged if verdict.verdict == "contradicted"]
    meant = sum(probe.truth == "contradicted" for probe, _ in judged)
    return sum(probe.truth == "contradicted" for probe in called), len(called), meant


# --- sentences ---------------------------------------------------------------------------------------


def read_sentences() -> None:
    """How many sentences give exactly the claims that they should, how many another one."""
    words = tuple(Word(text=word, start_s=1 + 0.4 * n, end_s=1.4 + 0.4 * n) for n, word in enumerate(SAID))
    with SENTENCES.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    outcomes = Counter[str]()
    for row in rows:
        wanted = {part.strip() for part in row["expected"].split(";") if not part.strip().startswith("?")}
        found = {told(one) for one in read_claims(row["text"], words=words, duration_s=6.0).claims}
        outcome = "understood" if found == wanted else "wrongly" if found - wanted else "in part or not"
        outcomes[outcome] += 1
        if outcome != "understood":
            print(f"{outcome}: {row['text']} -> {sorted(found)}, expected {sorted(wanted)}")
    print(f"\nsentences, of {len(rows)}: " + ", ".join(f"{n} {name}" for name, n in outcomes.most_common()))
    emit(
        "claims_understood",
        outcomes["understood"] / len(rows),
        "share of sentences",
        None,
        None,
        True,
        len(rows),
    )
    emit_limited("claims_misread", outcomes["wrongly"] / len(rows), "share of sentences", LIMIT, len(rows))


def told(one: Claim) -> str:
    """A claim as the sentences' file writes it."""
    kind, said = one.when
    when = {"": "", "during": f'"{said}"', "after": f'after "{said}"', "last_word": "end"}.get(kind, kind)
    when = f'before "{said}"' if kind == "before" and said else when
    timed = cue_table().cues[one.cue].statistic == "share" and kind == "all"
    return f"{'!' * (one.direction == 'absent')}{one.cue}" + (f" @{when}" if when and not timed else "")


# --- cost --------------------------------------------------------------------------------------------


def costs(found: Sequence[Piece]) -> None:
    """CPU time of one annotation's check, and how it grows with claims and with the clip."""
    piece = next(one for one in found if one.source.name == "address_d" and one.whole)
    cues = ("AU12", "smile", "AU04", "nod", "pitch_high", "loud", "pause", "quote")
    span = (0.0, piece.sample.duration_s)
    few = [
        claim(cue, cue_table().cues[cue].modality, span, quote="learning more" if cue == "quote" else None)
        for cue in cues
    ]
    many = few * 8
    long = _longer(piece)
    once = measured(lambda: [piece.verdicts(few) for _ in range(REPEATS)]) / REPEATS
    claims = paired(lambda: piece.verdicts(many), lambda: piece.verdicts(few), RUNS)
    length = paired(lambda: long.verdicts(many), lambda: piece.verdicts(many), RUNS)
    emit(
        "evidence_check",
        1000 * once,
        f"CPU ms, {CLAIMS} claims of {piece.sample.duration_s:.1f} s",
        None,
        None,
        True,
        REPEATS,
    )
    emit(
        "evidence_claims_8x",
        claims.ratio,
        "times the cost",
        claims.ratio,
        8.0 * 1.5,
        claims.ratio <= 8 * 1.5,
        RUNS,
    )
    emit(
        "evidence_length_8x",
        length.ratio,
        "times the cost",
        length.ratio,
        8.0 * 1.5,
        length.ratio <= 8 * 1.5,
        RUNS,
    )


def _longer(piece: Piece) -> Piece:
    """The same curves LONGER times one after the other."""
    length_s = piece.sample.duration_s
    features = []
    for one in piece.features:
        series = tuple(
            each.model_copy(
                update={
                    "times_s": tuple(n * length_s + t for n in range(LONGER) for t in each.times_s),
                    "values": each.values * LONGER,
                }
            )
            for each in one.series
        )
        features.append(one.model_copy(update={"series": series, "words": one.words * LONGER}))
    return Piece(piece.source, piece.path, piece.start_s, piece.sample, tuple(features), piece.baselines)


if __name__ == "__main__":
    main(*sys.argv[1:])
