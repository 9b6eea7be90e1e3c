"""The queue of a large project: little is read, once, and again only when something else stands."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from review_ui.queue import BANDS, Person, Queue
from schemas.parts import Target
from schemas.records import Decision, Review, Sample
from schemas.store import Store
from tests.review_ui.conftest import Browser
from tests.review_ui.project import Project, set_live

ANN = Person("ann")


@contextmanager
def watched() -> Iterator[list[str]]:
    """The statements that are sent to any store meanwhile."""
    sent: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(re.sub(r"\s+", " ", statement))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Store]:
    """Items in three bands of priority, as many as make chance visible."""
    store = Store.open(f"sqlite:///{tmp_path / 'emotrace.db'}")
    decisions, samples = [], []
    for n in range(120):
        said = {"segment_id": f"seg_{n:024x}", "target": Target()}
        priority = (n % 3) / BANDS + n / 120 / BANDS / 2
        decisions.append(
            Decision(
                **said, consensus_id=f"con_{n}", review_ids=(), policy={}, version="1",
                status="needs_review", priority=priority,
            )
        )  # fmt: skip
        samples.append(Sample(**said, feature_digests=(), baseline_ids=(), view_version="1", duration_s=1.0))
    store.add([*decisions, *samples])
    store.set_live(Decision, [d.id for d in decisions])
    store.set_live(Sample, [s.id for s in samples])
    yield store
    store.close()


def test_threads_that_ask_at_once_read_once_and_no_bodies(large: Store) -> None:
    queue = Queue(large, "ekman7")
    with watched() as sent, ThreadPoolExecutor(8) as pool:
        orders = list(pool.map(lambda _: queue.entries(), range(8)))
    assert all(order is orders[0] for order in orders)
    live = [statement for statement in sent if "FROM live" in statement]
    assert len(live) == 2  # decisions and samples, once each
    assert [statement for statement in sent if "SELECT records.id, records.body" in statement] == []


def test_nothing_new_means_nothing_read_again(large: Store) -> None:
    queue = Queue(large, "ekman7")
    queue.entries()
    with watched() as sent:
        queue.entries()
        queue.progress(ANN)
    assert [s for s in sent if "FROM live" in s or "SELECT records.id, records.body" in s] == []
    assert all("records.seq > ?" in statement for statement in sent)


def test_a_place_in_a_band_says_nothing(large: Store) -> None:
    place = {entry.segment_id: n for n, entry in enumerate(Queue(large, "ekman7", seed=1).entries())}
    priority = {d.segment_id: d.priority for d in large.all(Decision)}
    order = sorted(place, key=place.__getitem__)
    bands = [int(priority[segment] * BANDS) for segment in order]
    assert bands == sorted(bands, reverse=True)
    in_band = [priority[segment] for segment in order if int(priority[segment] * BANDS) == 1]
    assert in_band != sorted(in_band)
    assert in_band != sorted(in_band, reverse=True)
    again = [entry.segment_id for entry in Queue(large, "ekman7", seed=1).entries()]
    other = [entry.segment_id for entry in Queue(large, "ekman7", seed=2).entries()]
    assert again == order
    assert other != order


def test_what_others_do_to_the_store_is_taken_up(project: Project) -> None:
    queue = Queue(project.store, "ekman7")
    assert Counter(entry.needs_review for entry in queue.entries()) == {True: 3, False: 1}
    item = project.waiting[0]
    decided = Decision.model_validate({**item.decision.model_dump(), "version": "2", "status": "reviewed"})
    set_live(project, decision=[decided, *(other.decision for other in project.items[1:])])
    assert Counter(entry.needs_review for entry in queue.entries()) == {True: 2, False: 2}
    said = {"segment_id": project.waiting[1].segment.id, "target": Target(), "taxonomy": "ekman7"}
    for phase in ("blind", "revealed"):  # by another server on the same store
        project.store.add([Review.model_validate({**said, "reviewer": "Ann", "phase": phase, "at": phase})])
    assert queue.progress(ANN).done == 1
    assert queue.progress(ANN).left == 1


def test_an_old_decision_that_stands_again_is_found_without_a_new_record(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings that were changed and changed back."""
    monkeypatch.setattr("review_ui.queue.LOOK_AGAIN_S", 0.0)
    queue = Queue(project.store, "ekman7")
    item, *others = project.items
    newer = Decision.model_validate({**item.decision.model_dump(), "version": "2", "status": "reviewed"})
    set_live(project, decision=[newer, *(other.decision for other in others)])
    assert item.sample.id not in [e.sample_id for e in queue.entries() if e.needs_review]
    set_live(project)
    assert item.sample.id in [e.sample_id for e in queue.entries() if e.needs_review]


def test_a_range_of_a_clip_does_not_look_at_the_queue(browser: Browser, project: Project) -> None:
    path = f"/media/{project.waiting[0].sample.id}"
    browser.get(path)
    with watched() as sent:
        assert browser.get(path, headers={"range": "bytes=0-9"}).status_code == 206
    assert [statement for statement in sent if "records.seq >" in statement or "FROM live" in statement] == []


def two_people(store: Store) -> dict[str, Sample]:
    """Two samples of one segment that wait for a person, by speaker."""
    targets = [Target(speaker="ann"), Target(speaker="SPEAKER_01", face_track="f2")]
    samples, decisions = [], []
    for target in targets:
        said = {"segment_id": "seg_1", "target": target}
        others = tuple(other for other in targets if other != target)
        samples.append(
            Sample(**said, feature_digests=(), baseline_ids=(), view_version="1", duration_s=1, others=others)
        )
        decisions.append(
            Decision(
                **said, consensus_id="con_1", review_ids=(), policy={}, version="1", status="needs_review"
            )
        )
    store.add([*samples, *decisions])
    store.set_live(Sample, [sample.id for sample in samples])
    store.set_live(Decision, [decision.id for decision in decisions])
    return {str(sample.target.speaker): sample for sample in samples}


def reviewed(sample: Sample, phase: str, reviewer: str = "ann") -> Review:
    said = {"segment_id": sample.segment_id, "target": sample.target, "taxonomy": "ekman7", "at": phase}
    return Review.model_validate({**said, "reviewer": reviewer, "phase": phase})


def test_each_person_of_a_segment_is_an_item_of_its_own(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'emotrace.db'}")
    people, queue = two_people(store), Queue(store, "ekman7")
    one, other = people["ann"], people["SPEAKER_01"]
    assert {entry.sample_id for entry in queue.entries()} == {one.id, other.id}
    store.add([reviewed(one, "blind"), reviewed(one, "revealed")])
    progress = queue.progress(ANN)
    assert (progress.done, progress.left) == (1, 1)
    entry = queue.after(ANN)
    assert entry is not None
    assert entry.sample_id == other.id
    assert queue.said(entry, "ann", "blind") is None
    # What another name saw of one person in this browser says nothing of the other person.
    assert queue.progress(Person("eve", ("ann",))).seen == 1

    # Composed anew under other names: the labels of two people stay apart.
    left = Sample.model_validate({**one.model_dump(), "target": Target(speaker="anna"), "others": ()})
    decided = Decision(
        segment_id="seg_1", target=left.target, consensus_id="con_1", review_ids=(), policy={}, version="1",
        status="needs_review",
    )  # fmt: skip
    store.add([left, decided])
    store.set_live(Sample, [left.id])
    store.set_live(Decision, [decided.id])
    assert (queue.progress(ANN).done, queue.progress(ANN).left) == (0, 1)
    assert queue.find(one.id) is None
    store.close()
