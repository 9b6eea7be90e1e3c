"""The report as one HTML page with drawings in SVG: no script, nothing loaded from anywhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from html import escape
from typing import Literal

from pipeline.commands.claims_text import COLUMNS, cells, named
from pipeline.judging.parts import (
    Chains,
    Comparison,
    Finding,
    JudgeReport,
    JudgesReport,
    Measured,
    SecondLooks,
)
from pipeline.metrics import METRICS
from pipeline.metrics.base import Metric
from pipeline.outputs import ClaimRates
from schemas.registry import resolve

MARKS = {
    False: ("bad", "✗", "a problem"),
    None: ("open", "?", "open"),
    True: ("good", "✓", "as it should be"),
}
COMPARED = {
    "label": "people's labels (the share that agrees)",
    "rubric": "people's ratings on the same scale",
}
DRAWN = (
    "quadratic_kappa",
    "cohen_kappa",
    "spearman",
    "icc_1",
    "icc_a_1",
    "icc_c_1",
    "icc_1_k",
    "icc_a_k",
    "icc_c_k",
)
TABLED = ("mean_difference", "ece", "brier")
POSITIONS = {
    "asked": "rating and place among the annotations asked about (rho)",
    "claimed_label": "s_rec and place of the claimed label (rho)",
    "implied_label": "place of the implied label, from the middle",
}
AGREEMENT = "agreement (0: as by chance, 1: complete)"
STYLE = """
:root { color-scheme: light dark; --line: #8886; --ink: #1f5fa8; }
:root { --bad: #b3261e; --good: #1b6e3c; --open: #7a5b00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #7db4ee; --bad: #ff8a80; --good: #7fd6a0; --open: #e2c15c; }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: .5rem 0 1rem; display: block; overflow-x: auto; }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; }
th { font-weight: 600; border-bottom: 1px solid var(--line); } td { font-variant-numeric: tabular-nums; }
td + td { white-space: nowrap; }
ul.findings { list-style: none; padding: 0; }
ul.findings li { margin: .3rem 0; padding-left: 1.6rem; text-indent: -1.6rem; }
.mark { display: inline-block; width: 1.6rem; text-indent: 0; font-weight: 700; }
.bad .mark { color: var(--bad); } .good .mark { color: var(--good); } .open .mark { color: var(--open); }
.drawings { display: flex; flex-wrap: wrap; gap: 1.5rem; } figure { margin: 0; max-width: 100%; }
figure svg { max-width: 100%; height: auto; } figcaption { font-size: .9rem; max-width: 26rem; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
section { border-top: 1px solid var(--line); }
"""


def html_page(
    report: JudgesReport,
    title: str,
    claims: Mapping[str, ClaimRates] | None = None,
    rules: Collection[str] = (),
) -> str:
    """The whole page; every text of the project is escaped.

    `claims`: of each annotator, how many the signal contradicts; those of `rules` repeat what was measured.
    """
    body = "".join(_judge(judge) for judge in report.judges) or "<p>No judge has rated anything yet.</p>"
    together = "".join(_together(report.together)) if report.together else ""
    together += "".join(_claims(claims, rules)) if claims else ""
    csp = "default-src 'none'; style-src 'unsafe-inline'"
    unit = {"source": "recording", "speaker": "speaker"}[report.cluster]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{csp}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Judges of {escape(title)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>Judges of {escape(title)}</h1>\n"
        f"<p>Intervals are 95 %, of judges by a bootstrap over whole {unit}s. Marks: "
        + ", ".join(f"{sign} {meaning}" for _, sign, meaning in MARKS.values())
        + f".</p>\n{body}{together}</body></html>\n"
    )


def _judge(judge: JudgeReport) -> str:
    means = ", ".join(
        f"{name} {judge.means[name]:.2f} (sd {judge.spreads[name]:.2f})" for name in judge.means
    )
    return "".join(
        [
            f"<section><h2>{escape(judge.judge)}</h2>\n",
            f"<p>Asked about {judge.annotations} annotations.{f' Mean scores: {means}.' if means else ''}</p>\n",
            '<ul class="findings">',
            *map(_finding, judge.findings),
            "</ul>\n",
            *map(_comparison, judge.comparisons),
            _numbers("Two of its scores (rho)", judge.alike),
            _numbers("Length of the rationale and ratings (rho)", judge.length),
            _numbers("The same, people's score held constant", judge.length_beside_people),
            _looks(judge.second_looks),
            _numbers("Places", {POSITIONS[name]: found for name, found in judge.position.items()}),
            _chains(judge.mme_emotion),
            "</section>\n",
        ]
    )


def _finding(finding: Finding) -> str:
    name, sign, meaning = MARKS[finding.good]
    return f'<li class="{name}"><span class="mark" title="{meaning}">{sign}</span>{escape(finding.text)}</li>'


def _comparison(one: Comparison) -> str:
    drawn = {_title(name): one.metrics[name] for name in DRAWN if name in one.metrics}
    plain = {_title(name): one.metrics[name] for name in TABLED if name in one.metrics}
    needed = f" {one.more_needed} more are needed before anything follows." if one.more_needed else ""
    return (
        f"<h3>{one.score} beside {COMPARED[one.people]}: {one.n} annotations</h3>"
        f"<p>Mean of the judge {one.judge_mean:.2f}, of people {one.people_mean:.2f}.{needed}</p>"
        f'<div class="drawings"><figure>{_reliability(one)}<figcaption>Calibration: what people say of ratings '
        f"of one height; on the line they mean what they say. The area is the number of annotations.</figcaption>"
        f"</figure><figure>{_forest(drawn, AGREEMENT)}"
        "<figcaption>Agreement, with its interval.</figcaption></figure></div>"
        + _numbers("Further numbers", plain)
        + _numbers("Agreement in numbers", drawn)
    )


def _numbers(title: str, found: Mapping[str, Measured]) -> str:
    if not found:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(one.text)}</td><td>{one.n}</td><td>{one.missing}</td></tr>"
        for name, one in found.items()
    )
    return (
        f"<table><tr><th>{escape(title)}</th><th>value</th><th>n</th><th>left out</th></tr>{rows}</table>\n"
    )


def _looks(looks: SecondLooks) -> str:
    """By annotator, in how many annotations the reasons imply another label than the claimed one."""
    if not looks.by_annotator:
        return ""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{bad} ({bad / n:.0%})</td><td>{n}</td></tr>"
        for name, (bad, n) in looks.by_annotator.items()
    )
    heads = "<th>Second looks at</th><th>reasons imply another label</th><th>n</th>"
    return f"<table><tr>{heads}</tr>{rows}</table>\n"


def _chains(found: Mapping[str, Mapping[Literal["strict", "as_published"], Chains]]) -> str:
    if not found:
        return ""
    heads = ("annotator", "mode", "Rec-S", "Rea-S", "CoT-S", "average steps", "n", "unread")
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{mode.replace('_', ' ')}</td>"
        + "".join(
            f"<td>{_number(value)}</td>" for value in (one.rec_s, one.rea_s, one.cot_s, one.average_steps)
        )
        + f"<td>{one.n}</td><td>{one.unread}</td></tr>"
        for name, modes in found.items()
        for mode, one in modes.items()
    )
    return (
        "<h3>MME-Emotion, for evaluation only</h3><table><tr>"
        + "".join(f"<th>{head}</th>" for head in heads)
        + f"</tr>{rows}</table>\n"
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _reliability(one: Comparison) -> str:
    """Each bin as a circle at (mean rating, mean of people), on unit axes; its area is the number of items."""
    size, edge, top = 220, 46, 18  # room for the largest circle
    people = {"label": "share of people who agree", "rubric": f"mean {one.score} of people"}[one.people]
    most = max((b.n for b in one.bins), default=1) or 1

    def x(value: float) -> float:
        return edge + value * size

    def y(value: float) -> float:
        return top + (1 - value) * size

    circles = "".join(
        f'<circle cx="{x(b.score):.1f}" cy="{y(b.people):.1f}" r="{max(2.0, 14 * (b.n / most) ** 0.5):.1f}" '
        'fill="var(--ink)" fill-opacity=".55"><title>'
        f"{b.n} rated {b.score:.2f}, people {b.people:.2f}</title></circle>"
        for b in one.bins
        if b.score is not None and b.people is not None
    )
    ticks = "".join(
        f'<text x="{x(v):.0f}" y="{size + top + 16}" text-anchor="middle">{v:g}</text>'
        f'<text x="{edge - 6}" y="{y(v) + 4:.0f}" text-anchor="end">{v:g}</text>'
        for v in (0, 0.5, 1)
    )
    return (
        f'{_svg(size + edge + top, size + top + 36)} role="img" '
        f'aria-label="Calibration of {one.score}; the numbers stand below">'
        f'<rect x="{edge}" y="{top}" width="{size}" height="{size}" fill="none" stroke="var(--line)"/>'
        f'<line x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}" stroke="var(--line)" stroke-dasharray="4 4"/>'
        f"{circles}{ticks}"
        f'<text x="{edge + size / 2:.0f}" y="{size + top + 32}" text-anchor="middle">'
        f"mean {one.score} of the judge</text>"
        f'<text transform="translate(12 {top + size / 2:.0f}) rotate(-90)" text-anchor="middle">{people}</text>'
        "</svg>"
    )


def _forest(found: Mapping[str, Measured], axis: str, ticks: Sequence[float] = (-1, 0, 0.5, 1)) -> str:
    """One line a number, from the first tick to the last: its interval, and a dot for the value."""
    name_px, width, step = 200, 260, 24
    bottom, low, high = step * len(found) + 30, ticks[0], ticks[-1]

    def x(value: float) -> float:
        return name_px + (max(low, min(high, value)) - low) / (high - low) * width

    lines = []
    for place, (name, one) in enumerate(found.items()):
        y = 16 + place * step
        lines.append(f'<text x="{name_px - 10}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        if one.low is not None and one.high is not None:
            ends = f'x1="{x(one.low):.1f}" y1="{y}" x2="{x(one.high):.1f}" y2="{y}"'
            lines.append(f'<line {ends} stroke="var(--ink)" stroke-width="3"/>')
        if one.value is None:
            lines.append(f'<text x="{name_px + 4}" y="{y + 4}">none</text>')
        else:
            lines.append(f'<circle cx="{x(one.value):.1f}" cy="{y}" r="5" fill="var(--ink)"/>')
    grid = "".join(
        f'<line x1="{x(v):.1f}" y1="4" x2="{x(v):.1f}" y2="{bottom - 22}" stroke="var(--line)"/>'
        f'<text x="{x(v):.1f}" y="{bottom - 6}" text-anchor="middle">{v:g}</text>'
        for v in ticks
    )
    grid += f'<text x="{name_px + width / 2}" y="{bottom + 12}" text-anchor="middle">{escape(axis)}</text>'
    return (
        f'{_svg(name_px + width + 20, bottom + 18)} role="img" '
        f'aria-label="Values with intervals; the numbers stand below">{grid}{"".join(lines)}</svg>'
    )


def _svg(width: int, height: int) -> str:
    """The head of a drawing that shrinks with its page."""
    return f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}"'


def _together(found: Mapping[str, Mapping[str, Measured]]) -> Iterator[str]:
    yield "<section><h2>The judges beside each other</h2>"
    yield "<p>Judges that agree may share a fault: this is no reliability.</p>"
    for score, metrics in found.items():
        yield _numbers(score, {_title(name): one for name, one in metrics.items()})
    yield "</section>"


def _claims(claims: Mapping[str, ClaimRates], rules: Collection[str]) -> Iterator[str]:
    """How often each annotator's claims are contradicted: drawn, and in numbers."""
    drawn = {
        named(name, rules): Measured(
            value=one.rate,
            low=one.low,
            high=one.high,
            n=one.measurable,
            missing=one.not_measurable,
            clusters=0,
        )
        for name, one in ((name, both.not_shown) for name, both in claims.items())
    }
    yield "<section><h2>Claims that the signal contradicts</h2>"
    yield (
        "<p>Of the claims of each annotator that can be measured, with Wilson's interval. A claim whose "
        "measurement the annotator was told proves only copying, so both kinds stand apart; rules repeat what "
        "was measured.</p>"
    )
    drawing = _forest(drawn, "share contradicted", (0, 0.25, 0.5, 0.75, 1))
    caption = "Contradicted claims, of those whose measurement was not told, with their interval."
    yield f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"
    heads = "".join(f"<th>{head}</th>" for head in ("claims of", *COLUMNS))
    rows = "".join(
        f"<tr><td>{escape(named(name, rules))}</td>{''.join(f'<td>{cell}</td>' for cell in cells(one))}</tr>"
        for name, one in claims.items()
    )
    yield f"<table><tr>{heads}</tr>{rows}</table></section>"


def _title(name: str) -> str:
    metric: Metric = resolve(METRICS, name, what="metric")
    return metric.title
