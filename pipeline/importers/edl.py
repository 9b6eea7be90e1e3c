"""An edit decision list (CMX3600): each event is a stretch of a recording, told by its timecode.

The list knows no frame rate and no folder: both are taken from the recordings. The comment of an event names
its recording (`* FROM CLIP NAME: talk.mp4`) or, without one, the reel does; it stands in the folder of the list.

Reference: SMPTE ST 12-1 (timecode, drop frames)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from pipeline.importers.manifest import TIME_DIGITS, ManifestRow
from pipeline.media.container import open_media, video_stream
from schemas.errors import MediaError, UserError

_TIMECODE = r"(\d{2})[:;](\d{2})[:;](\d{2})([:;.,])(\d{2,3})"
_EVENT = re.compile(
    rf"^(\d{{3,6}})\s+(\S+)\s+\S+\s+(C|D|K\s*[BO]?|W\d+)(?:\s+\d+)?\s+{_TIMECODE}\s+{_TIMECODE}\s"
)
_FRAME_CODE_MODE = re.compile(r"^FCM\s*:\s*(NON[ -]?)?DROP\b", re.IGNORECASE)
_CLIP = re.compile(r"^\*\s*(FROM|TO) CLIP NAME\s*:\s*(.+?)\s*$", re.IGNORECASE)
_BEGINS_EVENT = re.compile(r"^\d{3,6}\s")
NO_MEDIA = frozenset({".edl", ".srt", ".vtt", ".txt", ".rttm", ".csv", ".json", ".jsonl", ".parquet"})
BLACK = "BL"  # the reel of nothing
DROPPED = {30: 2, 60: 4}  # nominal rate -> numbers that are left out each minute, but for every tenth
MAX_RATE = 120  # no timecode counts faster: a higher rate is the clock of a file without a rate of its own


@dataclass
class _Event:
    line: int
    reel: str
    cut: bool  # not a dissolve or wipe
    start: tuple[str, ...]
    end: tuple[str, ...]
    drop: bool = False  # the list says that numbers are left out, though no semicolon does
    names: dict[str, str] = field(default_factory=dict)  # "FROM" and "TO" -> clip name

    @property
    def clip(self) -> str | None:
        """The clip that is shown after the transition."""
        return self.names.get("FROM") if self.cut else self.names.get("TO")


def read_edl(manifest: Path) -> Iterator[ManifestRow]:
    """One row per stretch, in the order of the list; the same stretch for picture and sound is one row.

    Raises:
        UserError: "bad_manifest", with file and line.
    """
    told: set[tuple[Path, float, float]] = set()
    events, beside = _events(manifest), _beside(manifest)
    for event in events:
        if event.reel == BLACK or event.start == event.end:
            continue
        path = _recording(manifest, event, beside)
        rate, offset_s = _clock(manifest, event, path)
        start_s, end_s = (
            _seconds(manifest, event, code, rate, drop=event.drop) - offset_s
            for code in (event.start, event.end)
        )
        start_s, end_s = round(start_s, TIME_DIGITS), round(end_s, TIME_DIGITS)
        if start_s < 0:
            raise _bad(
                manifest,
                event.line,
                f"the source begins at {_text(event.start)}, before {path.name}, whose timecode begins later",
                "correct the timecode",
            )
        if end_s <= start_s:
            raise _bad(manifest, event.line, "the source ends before it begins", "correct the timecode")
        if (path, start_s, end_s) not in told:
            told.add((path, start_s, end_s))
            yield ManifestRow(path, start_s, end_s, {}, manifest, event.line)


def _events(manifest: Path) -> list[_Event]:
    try:
        text = manifest.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise _bad(manifest, None, f"cannot be read: {error.strerror}", "make it readable") from error
    except UnicodeDecodeError as error:
        raise _bad(manifest, None, "not UTF-8", "save the file as UTF-8") from error
    events: list[_Event] = []
    drop = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if found := _EVENT.match(f"{line} "):
            parts = found.groups()
            # Some lists write colons everywhere, others tell by sign which of the tapes and the cut leaves out.
            told = drop and ";" not in line
            events.append(_Event(number, parts[1], parts[2] == "C", parts[3:8], parts[8:13], told))
        elif _BEGINS_EVENT.match(line):
            raise _bad(
                manifest, number, f'"{line[:60]}" is no event', "an event is: 001 REEL V C IN OUT IN OUT"
            )
        elif mode := _FRAME_CODE_MODE.match(line):
            drop = mode[1] is None
        elif events and (named := _CLIP.match(line)):
            _name(events, named[1].upper(), named[2])
    return events


def _name(events: list[_Event], side: str, clip: str) -> None:
    """A comment tells of the event before it; after a dissolve, of both of its lines."""
    last = events[-1]
    last.names[side] = clip
    if side == "FROM" and not last.cut and len(events) > 1 and not events[-2].names:
        events[-2].names[side] = clip


def _beside(manifest: Path) -> dict[str, list[Path]]:
    """Name with and without ending -> the files of the list's folder that may be recordings."""
    found: dict[str, list[Path]] = {}
    for path in sorted(manifest.parent.iterdir()):
        if path.is_file() and path.suffix.lower() not in NO_MEDIA:
            for name in {path.name, path.stem}:
                found.setdefault(name, []).append(path)
    return found


def _recording(manifest: Path, event: _Event, beside: dict[str, list[Path]]) -> Path:
    name = event.clip or event.reel
    found = beside.get(name, [])
    exact = [path for path in found if path.name == name] or found
    if len(exact) > 1:
        names = ", ".join(path.name for path in exact)
        raise _bad(manifest, event.line, f"{name} may be {names}", "name it with its ending")
    if not exact:
        remedy = "put the list beside the recordings, or add: * FROM CLIP NAME: FILE"
        raise _bad(manifest, event.line, f"no recording {name} in {manifest.parent}", remedy)
    return exact[0]


def _clock(manifest: Path, event: _Event, path: Path) -> tuple[Fraction, float]:
    """Frames per second of a recording, and the seconds of the timecode that it begins with."""
    rate, begins = _video_clock(path)
    if rate is None:
        raise _bad(
            manifest, event.line, f"{path.name} has no frame rate to count by", "write a manifest in seconds"
        )
    code = re.fullmatch(_TIMECODE, begins or "")
    return rate, _seconds(manifest, event, code.groups(), rate) if code else 0.0


@lru_cache(maxsize=64)
def _video_clock(path: Path) -> tuple[Fraction | None, str | None]:
    """Frame rate, and the timecode of the first frame where the file states one.

    The rate is the nominal one, by which editing programs count also where a phone left frames out.
    """
    try:
        with open_media(path) as container:
            video = video_stream(container)
            if video is None:
                return None, None
            told = [container.metadata, *(stream.metadata for stream in container.streams)]
            begins = next((tags["timecode"] for tags in told if "timecode" in tags), None)
            nominal: Fraction | None = video.guessed_rate
            return (nominal if nominal and nominal <= MAX_RATE else video.average_rate), begins
    except MediaError:  # ingest tells what is wrong with it
        return None, None


def _seconds(
    manifest: Path, event: _Event, code: tuple[str, ...], rate: Fraction, *, drop: bool = False
) -> float:
    """The time of a timecode. After a semicolon, or with `drop`, some numbers are left out to keep up."""
    hours, minutes, seconds, frame = (int(code[at]) for at in (0, 1, 2, 4))
    nominal = round(rate)
    if minutes > 59 or seconds > 59 or frame >= nominal:
        message = f"{_text(code)} is no timecode at {float(rate):g} frames per second"
        raise _bad(manifest, event.line, message, "correct the timecode")
    number = ((hours * 60 + minutes) * 60 + seconds) * nominal + frame
    if (drop or code[3] in ";,") and nominal in DROPPED and rate != nominal:
        passed = hours * 60 + minutes
        number -= DROPPED[nominal] * (passed - passed // 10)
    return float(number / rate)


def _text(code: tuple[str, ...]) -> str:
    return f"{code[0]}:{code[1]}:{code[2]}{code[3]}{code[4]}"


def _bad(manifest: Path, line: int | None, message: str, remedy: str) -> UserError:
    return UserError("bad_manifest", message, remedy, str(manifest), line)
