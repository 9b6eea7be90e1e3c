"""People's ratings of annotations from a CSV file: `id`, `rater`, and `s_rec`, `s_reason`, `s_cot` or `label`.

`id` is that of an annotation; of a sample where only a label is given. `at` may say when (ISO 8601). Scores are
in [0, 1], an empty field is not rated. A row becomes part of a review of the phase "rubric": judges are compared
with it, no decision rests on it.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from pipeline.policy import reviewer_key
from schemas.errors import UserError
from schemas.parts import LabelScore, Target
from schemas.records import Annotation, Review, Sample
from schemas.rubric import RubricRating
from schemas.store import Store, utc_now
from schemas.taxonomy import Taxonomy

SCORES = ("s_rec", "s_reason", "s_cot")
COLUMNS = ("id", "rater", *SCORES, "label", "at")
NEEDED = ("id", "rater")


class Taken(NamedTuple):
    """What came of a file. `known`: rows that say what was stored already."""

    reviews: list[Review]
    rows: int
    known: int


@dataclass(frozen=True)
class _Row:
    line: int
    record_id: str
    rater: str
    scores: dict[str, float | None]
    label: str | None
    at: str | None


def read_ratings(path: Path, store: Store, taxonomy: Taxonomy) -> Taken:
    """The reviews that a file of ratings makes, one per item and rater; those that are stored are left out.

    Raises:
        UserError: a row that cannot be, with file and line.
    """
    rows = _rows(path)
    about = _about(path, store, rows)
    grouped: dict[tuple[str, str, str], list[_Row]] = defaultdict(list)
    for row in rows:
        sample = about[row.record_id]
        grouped[sample.segment_id, sample.target.key, row.rater].append(row)
    reviews, known = [], 0
    now = utc_now()
    for (segment_id, _, rater), mine in grouped.items():
        target = about[mine[0].record_id].target
        review = _review(path, segment_id, target, rater, mine, taxonomy, now)
        review = _with_earlier(path, store, review, mine)
        if _is_known(store, review):
            known += len(mine)
        else:
            reviews.append(review)
    return Taken(reviews, len(rows), known)


def _rows(path: Path) -> list[_Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = f"cannot be read: {error.strerror}" if isinstance(error, OSError) else "not UTF-8"
        raise UserError("unreadable_ratings", why, "give a CSV file in UTF-8", str(path)) from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    names = reader.fieldnames or []
    for name in names:
        if name not in COLUMNS:
            raise _bad(path, 1, f'unknown column "{name}"', f"known: {', '.join(COLUMNS)}")
    for name in NEEDED:
        if name not in names:
            raise _bad(path, 1, f'no column "{name}"', f"known: {', '.join(COLUMNS)}")
    try:
        return [_row(path, reader.line_num, fields) for fields in reader]
    except csv.Error as error:
        raise _bad(path, reader.line_num + 1, f"not CSV: {error}", "mend the row") from error


def _row(path: Path, line: int, fields: dict[str, str | None]) -> _Row:
    if None in fields:
        raise _bad(path, line, "more fields than columns", "mend the row")
    said = {name: (value or "").strip() for name, value in fields.items()}
    for name in NEEDED:
        if not said[name]:
            raise _bad(path, line, f"{name} is empty", "every row names what is rated and who rates")
    scores = {name: _score(path, line, name, said.get(name, "")) for name in SCORES}
    label = said.get("label") or None
    if label is None and all(score is None for score in scores.values()):
        raise _bad(path, line, "neither a score nor a label", "rate something, or remove the row")
    at = said.get("at") or None
    return _Row(line, said["id"], said["rater"], scores, label, None if at is None else _utc(path, line, at))


def _score(path: Path, line: int, name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise _bad(
            path, line, f"{name} is {text}", "a score is a number from 0 to 1; leave it empty if not rated"
        )
    return value


def _utc(path: Path, line: int, at: str) -> str:
    """A time as it is kept: in UTC, so that times can be compared; one without a zone is taken as UTC."""
    try:
        time = datetime.fromisoformat(at)
    except ValueError as error:
        raise _bad(path, line, f"at is {at}", "a time such as 2026-05-01T12:00:00Z") from error
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).astimezone(UTC).isoformat("T", "milliseconds")


def _about(path: Path, store: Store, rows: list[_Row]) -> dict[str, Sample]:
    """Id -> the sample that it is about."""
    ids = list(dict.fromkeys(row.record_id for row in rows))
    annotations = {annotation.id: annotation for annotation in store.by_id(Annotation, ids)}
    wanted = [annotations[i].sample_id if i in annotations else i for i in ids]
    samples = {sample.id: sample for sample in store.by_id(Sample, list(dict.fromkeys(wanted)))}
    found = {i: samples[sample_id] for i, sample_id in zip(ids, wanted, strict=True) if sample_id in samples}
    for row in rows:
        if row.record_id not in found:
            message = f"no annotation or sample {row.record_id}"
            raise _bad(path, row.line, message, "take ids from emotrace show --json")
        if row.record_id not in annotations and any(score is not None for score in row.scores.values()):
            message = f"{row.record_id} is a sample: scores are of one annotation"
            raise _bad(path, row.line, message, "give the annotation's id, or a label alone")
    return found


def _review(
    path: Path,
    segment_id: str,
    target: Target,
    rater: str,
    rows: list[_Row],
    taxonomy: Taxonomy,
    now: str,
) -> Review:
    labels: dict[str, int] = {}  # label -> line
    for row in rows:
        if row.label is not None:
            name = taxonomy.match(row.label)
            if name is None:
                known = ", ".join(taxonomy.names)
                raise _bad(path, row.line, f'no label "{row.label}" in {taxonomy.name}', f"known: {known}")
            labels.setdefault(name, row.line)
    if len(labels) > 1:
        line = max(labels.values())
        raise _bad(path, line, f"{rater} gives one clip two labels", "keep one: " + " or ".join(labels))
    rated = [row for row in rows if any(score is not None for score in row.scores.values())]
    if len({row.record_id for row in rated}) < len(rated):
        raise _bad(path, rated[-1].line, f"{rater} rates one annotation twice", "keep one row")
    return Review(
        segment_id=segment_id,
        target=target,
        taxonomy=taxonomy.name,
        reviewer=rater,
        phase="rubric",
        at=max((row.at for row in rows if row.at), default=now),
        labels=tuple(LabelScore(label=label) for label in labels),
        ratings=tuple(
            RubricRating(annotation_id=row.record_id, **row.scores)
            for row in sorted(rated, key=lambda row: row.record_id)
        ),
    )


def _with_earlier(path: Path, store: Store, review: Review, rows: list[_Row]) -> Review:
    """With what the rater said at the same time in an earlier file: a file may hold one score, the next another.

    Raises:
        UserError: the two contradict each other.
    """
    before = store.get(Review, review.id)
    if before is None:
        return review
    ratings = {rating.annotation_id: rating for rating in before.ratings}
    for rating in review.ratings:
        earlier = ratings.get(rating.annotation_id, rating)
        told = {name: getattr(rating, name) for name in SCORES if getattr(rating, name) is not None}
        for name, value in told.items():
            if getattr(earlier, name) not in (None, value):
                line = next(row.line for row in rows if row.record_id == rating.annotation_id)
                said = f"{review.reviewer} gave {name} {getattr(earlier, name):g} at the same time before"
                raise _bad(path, line, said, "give the later rating a later time in the column at")
        ratings[rating.annotation_id] = earlier.model_copy(update=told)
    if review.labels and before.labels and review.labels != before.labels:
        said = f"{review.reviewer} said {before.labels[0].label} at the same time before"
        raise _bad(path, rows[0].line, said, "give the later label a later time in the column at")
    joined = tuple(ratings[name] for name in sorted(ratings))
    return review.model_validate(
        {**review.model_dump(), "labels": review.labels or before.labels, "ratings": joined}
    )


def _is_known(store: Store, review: Review) -> bool:
    """Whether the rater's latest word on this item says the same."""
    said = [
        one
        for one in store.by_parent(Review, [review.segment_id])[review.segment_id]
        if (one.phase, one.target) == ("rubric", review.target)
        and reviewer_key(one.reviewer) == reviewer_key(review.reviewer)
    ]
    return bool(said) and (said[-1].labels, said[-1].ratings) == (review.labels, review.ratings)


def _bad(path: Path, line: int, message: str, remedy: str) -> UserError:
    return UserError("bad_ratings", message, remedy, str(path), line)
