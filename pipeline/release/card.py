"""The dataset card (README.md) of a release: counts, how it was made, limits; and reading its counts back."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.release.card_labels import Numbers, has_text, numbers_table, open_text
from pipeline.release.columns import COLUMNS
from pipeline.release.telling import counted, left_out_text
from pipeline.splits import SPLITS

RULES = "cues"  # the provider of annotators and judges that are rules
UNDECIDED = "(undecided)"
NO_LABEL = "(numbers alone)"
UNKNOWN = "(not said)"
NO_WORDS = "(no words)"
LOW_QUALITY = "(low quality)"  # in the `words_source` of a recogniser that hears badly
SHOWN, NOT_SHOWN = (
    "shown",
    "not_shown",
)  # whether an annotator was told the measurement that its claim repeats
# identifiers that the hub knows; every other licence is "other" with its name beside it
HUB_LICENSE = re.compile(r"apache-2\.0|mit|cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.0|odbl|odc-by|pddl|openrail")
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LIMITS = """\
- Emotion labels are readings of what is heard and seen, not of what a person felt. People themselves agree
  only moderately on them, so use the soft labels where you can.
- A label with status `auto_accepted` was made by the annotators alone. Do not grade the same annotators with it.
- A claim with `shown = true` was made by an annotator that was told the measurement: its verdict proves only that
  the number was copied.
- `not_measurable` means that nothing could be measured there, not that the claim is wrong.
- An empty or null field is a missing fact, never a value; `missing` says why a modality is absent."""


@dataclass
class Tally:
    """Counts over the rows of a release, fed one row at a time; the same in `release` and `verify`."""

    labels: dict[str, Counter[str]] = field(default_factory=dict)  # label -> split -> rows
    by: dict[str, Counter[str]] = field(default_factory=dict)  # column -> value -> rows
    verdicts: dict[str, Counter[str]] = field(default_factory=dict)  # verdict -> shown or not -> claims
    numbers: Numbers = field(default_factory=Numbers)
    reviewed_by_people: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        no_label = UNDECIDED if row["status"] == "needs_review" else NO_LABEL
        self.labels.setdefault(row["label"] or no_label, Counter())[row["split"]] += 1
        self.numbers.add(row)
        for column in ("split", "status", "conflict", "license", "consent", "language"):
            self.by.setdefault(column, Counter())[row[column] or UNKNOWN] += 1
        self.by.setdefault("words_source", Counter())[row["words_source"] or NO_WORDS] += 1
        for claim in row["evidence"]:
            told = SHOWN if claim["shown"] else NOT_SHOWN
            self.verdicts.setdefault(claim["verdict"] or UNKNOWN, Counter())[told] += 1
        self.reviewed_by_people += row["human"]["reviewers"] > 0

    def as_json(self) -> dict[str, Any]:
        return {
            "rows": self.rows,
            "labels": {label: dict(sorted(splits.items())) for label, splits in sorted(self.labels.items())},
            **{column: dict(sorted(counts.items())) for column, counts in sorted(self.by.items())},
            **self.numbers.as_json(),
            "verdicts": {name: dict(sorted(told.items())) for name, told in sorted(self.verdicts.items())},
            "reviewed_by_people": self.reviewed_by_people,
        }

    @property
    def rows(self) -> int:
        return sum(self.splits.values())

    @property
    def splits(self) -> dict[str, int]:
        counts = self.by.get("split", Counter())
        return {split: counts[split] for split in SPLITS if counts[split]}


def render_card(manifest: Mapping[str, Any], tally: Tally) -> str:
    """The text of README.md. Depends on the manifest and the counts only, so that it is the same every time."""
    title = _line(manifest["title"])
    sections = {
        "Labels": _labels_text(manifest, tally),
        "Columns": _columns_text(),
        "Words": _words_text(tally),
        "How the labels were decided": _decision_text(manifest, tally),
        "Splits": _split_text(manifest, tally),
        "Evidence": _evidence_text(tally),
        "Rights": _rights_text(manifest, tally),
        "Limits": LIMITS,
        "Files": _files_text(manifest),
    }
    parts = [
        _front_matter(manifest, tally),
        f"# {title}, version {manifest['version']}",
        _what(manifest, tally),
        *(f"## {name}\n\n{text}" for name, text in sections.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _labels_text(manifest: Mapping[str, Any], tally: Tally) -> str:
    taxonomy, parts = manifest["taxonomy"], [_label_table(tally)]
    if taxonomy["dimensions"]:
        parts.append(_table(["dimension", "clips", "mean"], numbers_table(taxonomy, tally.numbers)))
    for name, counts in sorted(tally.numbers.heads.items()):
        parts.append(_table([name, "clips"], sorted(counts.items())))
    return "\n\n".join(filter(None, [*parts, open_text(taxonomy, tally.numbers)]))


def card_counts(text: str) -> dict[str, dict[str, int]]:
    """Label -> split -> rows as the card's label table says; empty without such a table."""
    table = re.search(r"^\| label \|(.*)\|\n\|[-| :]+\|\n((?:\|.*\|\n?)+)", text, re.MULTILINE)
    if table is None:
        return {}
    splits = [name.strip() for name in table[1].split("|")]
    counts: dict[str, dict[str, int]] = {}
    for line in table[2].splitlines():
        label, *numbers = (cell.strip() for cell in line.strip().strip("|").split("|"))
        counts[label] = {s: int(n) for s, n in zip(splits, numbers, strict=True) if s != "all" and n != "0"}
    return counts


def front_matter_counts(text: str) -> dict[str, int]:
    """Split -> rows as the card's YAML says."""
    head = text.split("\n---\n", 1)[0]
    pairs = re.findall(r"- name: (\w+)\n\s+num_bytes: \d+\n\s+num_examples: (\d+)", head)
    return {name: int(number) for name, number in pairs}


def _front_matter(manifest: Mapping[str, Any], tally: Tally) -> str:
    lines = ["---"]
    if manifest["license"]:
        plain = manifest["license"].lower()
        known = HUB_LICENSE.fullmatch(plain) is not None
        lines.append(f"license: {plain if known else 'other'}")
        lines += [] if known else [f"license_name: {json.dumps(_line(manifest['license']))}"]
    if manifest["languages"]:
        lines += ["language:", *(f"- {json.dumps(code)}" for code in manifest["languages"])]
    category = next((name for limit, name in SIZES if tally.rows < limit), "n>1M")
    lines += ["task_categories:", *(f"- {task}-classification" for task in ("video", "audio", "text"))]
    lines += [f"pretty_name: {json.dumps(_line(manifest['title']), ensure_ascii=False)}"]
    lines += ["tags:", "- emotion-recognition", "- multimodal", "- explainable", "- emotrace"]
    lines += ["size_categories:", f"- {category}", "configs:", "- config_name: default", "  data_files:"]
    for split in tally.splits:
        lines += [f"  - split: {split}", f"    path: data/{split}-*.parquet"]
    lines += ["dataset_info:", "  splits:"]
    for split, rows in tally.splits.items():
        size = manifest["bytes"][split]  # `datasets` takes the counts only together with it
        lines += [f"  - name: {split}", f"    num_bytes: {size}", f"    num_examples: {rows}"]
    return "\n".join([*lines, "---"])


def _what(manifest: Mapping[str, Any], tally: Tally) -> str:
    share = tally.reviewed_by_people / tally.rows
    return (
        f"{counted(tally.rows, 'clip')} of people. Each has {has_text(manifest['taxonomy'])}, "
        "how far the annotators agree, a rationale in steps, and the evidence that it cites. "
        "Every claim was compared with the signal and carries its verdict.\n\n"
        f"Made with emotrace {manifest['tools']['emotrace']} on {manifest['date']}. Annotators labelled each "
        "clip independently, judges rated them, and what was not certain was left to people: "
        f"a person looked at {tally.reviewed_by_people} of {counted(tally.rows, 'clip')} ({share:.0%}).\n\n"
        f"Annotators and judges:\n\n{_models(manifest)}{_rules_text(manifest)}"
    )


def _models(manifest: Mapping[str, Any]) -> str:
    return "\n".join(
        f"- {_line(model['role'])} `{_line(model['name'])}`: {_who_it_is(model)}"
        for model in manifest["models"]
    )


def _who_it_is(model: Mapping[str, Any]) -> str:
    version = model["model_version"]
    if model["provider"] == RULES:
        return "rules, not a model" + (f" ({_line(version)})" if version else "")
    name = f"{_line(model['provider'])}, {_line(model['model'])}"
    return name + (f" (said to be {_line(version)})" if version else "")


def _rules_text(manifest: Mapping[str, Any]) -> str:
    """What it means that annotators are rules; empty when none is."""
    providers = [model["provider"] for model in manifest["models"] if model["role"] == "annotator"]
    if RULES not in providers:
        return ""
    who = "All annotators" if set(providers) == {RULES} else "The annotators that are called rules"
    return (
        f"\n\n{who} are rules over words, voice and face, not models. They are told the measurements that their "
        "claims repeat, so these claims are supported by construction."
    )


def _columns_text() -> str:
    return (
        '```python\nfrom datasets import load_dataset\n\ndata = load_dataset("FOLDER OF THIS CARD")\n```\n\n'
        + _table(["column", "what"], [[f"`{name}`", what] for name, what in COLUMNS.items()])
        + "\n\nThe recordings are not in the release. `source_name` and `source_sha256` say which recording a "
        "row is about, `source_start_s` and `source_end_s` which stretch of it; ask the maintainer for the files."
    )


def _words_text(tally: Tally) -> str:
    """Where the words come from, and what that means when a recogniser hears badly."""
    sources = tally.by["words_source"]
    table = _table(["words from", "clips"], sorted(sources.items()))
    bad = sum(n for source, n in sources.items() if LOW_QUALITY in source)
    if not bad:
        return table
    return (
        f"{table}\n\nThe words of {counted(bad, 'clip')} come from a speech recogniser of low quality. Many of "
        "them may never have been said: there `transcript`, `words`, every quote in the evidence and what "
        "annotators made of the words are guesses. `words_source` tells these clips apart."
    )


def _label_table(tally: Tally) -> str:
    splits = list(tally.splits)
    rows = [
        [label, *(counts[split] for split in splits), sum(counts.values())]
        for label, counts in sorted(tally.labels.items())
    ]
    return _table(["label", *splits, "all"], rows)


def _decision_text(manifest: Mapping[str, Any], tally: Tally) -> str:
    policy = manifest["config"]["policy"]
    text = _table(["status", "clips"], sorted(tally.by["status"].items()))
    text += (
        f"\n\nA machine label stood without a person (`auto_accepted`) only with probability >= "
        f"{policy['accept_probability']:g}, a best score >= {policy['accept_s_final']:g}, a best confidence >= "
        f"{policy['accept_confidence']:g}, a margin >= "
        f"{policy['min_margin']:g}, at least {policy['min_labelled']} annotators, no tie and no conflict between "
        "modalities." + _random_text(manifest)
    )
    text += _left_out_text(manifest)
    conflicts = _table(["conflict between modalities", "clips"], sorted(tally.by["conflict"].items()))
    return f"{text}\n\n{conflicts}"


def _left_out_text(manifest: Mapping[str, Any]) -> str:
    """What of the project is not in this version; empty when all of it is."""
    left = left_out_text(manifest["left_out"])
    return f"\n\nLeft out: {left}." if left else ""


def _random_text(manifest: Mapping[str, Any]) -> str:
    """What became of the random share; empty when none is drawn."""
    share, drawn = manifest["config"]["policy"]["random_review_share"], manifest["random_review"]
    if not share:
        return ""
    return (
        f" A random {share:.0%} of the clips is given to people whatever the annotators say. Drawn so far: "
        f"{drawn['drawn']} of {counted(drawn['clips'], 'clip')}; people have decided {drawn['decided']} of these."
    )


def _split_text(manifest: Mapping[str, Any], tally: Tally) -> str:
    release = manifest["config"]["release"]
    policy = release["split_policy"]
    if policy == "single":
        return (
            'Split policy "single": all clips are in `train`, because the maintainer asked for no division.'
        )
    tied = "source, declared speaker or declared group" if policy == "speaker" else "source or declared group"
    text = (
        f'Split policy "{policy}": clips that share a {tied}, directly or over others, form one group, and no '
        "group stands in two splits. A group can be in `validation` only when a person labelled every clip in "
        "it, and in `test` only when every clip was adjudicated or labelled blind by two people; machine "
        "labels are in `train` only."
    )
    wanted = [name for name in ("validation", "test") if release[f"{name}_share"] > 0]
    lacking = [f"`{name}`" for name in wanted if name not in tally.splits]
    if lacking:
        text += f" There are too few such groups for {' and '.join(lacking)} in this version."
    return text + _kept_text(manifest, lacking=bool(lacking))


def _kept_text(manifest: Mapping[str, Any], *, lacking: bool) -> str:
    """What the splits have to do with those of the version before; empty when there is none."""
    before = manifest["previous_version"]
    if before is None:
        return ""
    if not manifest["config"]["release"]["keep_splits"]:
        return (
            f"\n\nThe splits were drawn anew: clips may stand in another split than in version {before} and "
            "those before it. Do not test on this version what was trained on one of these."
        )
    text = (
        f"\n\nEvery group keeps the split that version {before} gave it or had kept, and new groups were placed "
        "around them: what was trained on that version can be tested on this one."
    )
    if lacking:
        text += " Only the maintainer can change that, by `release.keep_splits = false`."
    return text


def _evidence_text(tally: Tally) -> str:
    rows = [
        [name, told[NOT_SHOWN], told[SHOWN], sum(told.values())]
        for name, told in sorted(tally.verdicts.items())
    ]
    return (
        _table(["verdict of the signal", "not shown", "shown", "all"], rows)
        + "\n\nShown: the claim repeats a measurement that the annotator was told, so that the signal supports "
        "it is no finding. Contradicted claims are kept in `evidence`, but no step of a rationale that cites one "
        "is released."
    )


def _rights_text(manifest: Mapping[str, Any], tally: Tally) -> str:
    whole = f"The dataset is released under {_line(manifest['license'])}." if manifest["license"] else (
        "No licence was given for the dataset as a whole: ask the maintainer before you use it."
    )  # fmt: skip
    tables = [
        _table([f"{column} of the recording", "clips"], sorted(tally.by[column].items()))
        for column in ("license", "consent")
    ]
    return "\n\n".join([whole, *tables])


def _files_text(manifest: Mapping[str, Any]) -> str:
    return (
        "`manifest.json` holds the SHA-256 of every file, the content hash of the rows, the schema and the "
        "configuration; `SHA256SUMS` is for `sha256sum -c`. Check a copy with `emotrace verify FOLDER`.\n\n"
        f"Content hash: `{manifest['content_sha256']}`"
    )


def _table(head: list[str], rows: list[Any]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_line(cell) for cell in line) + " |" for line in lines)


def _line(value: Any) -> str:
    """A value of the user as text that cannot break a table, a list or the page."""
    text = re.sub(r"\s+", " ", str(value)).strip()
    return text.replace("|", "/").replace("<", "‹").replace(">", "›")
