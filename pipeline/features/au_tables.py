"""Faces that another program measured: an OpenFace or Py-Feat csv beside the recording, as features.

References: Baltrusaitis et al. 2018, OpenFace 2.0, doi:10.1109/FG.2018.00019; Cheong et al. 2023, Py-Feat,
doi:10.1007/s42761-023-00191-4. docs/action-units.md says how their scales become ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline.features.active_speaker import MOUTH_OPEN
from pipeline.features.au_events import EventRule
from pipeline.features.au_faces import (
    DEGREES,
    INTENSITY,
    PRESENCE,
    Array,
    Curve,
    Face,
    Window,
    mouth_opening,
    surroundings,
    tell_faces,
    track_notes,
)
from pipeline.features.au_pyfeat import pyfeat_curves
from pipeline.features.au_tracks import track_faces
from pipeline.features.base import Clip, Params, features_of, one_by_one
from pipeline.features.beside import digest_beside
from pipeline.features.face_tables import FaceTable, Kind, find_face_table, read_face_table
from schemas.errors import ItemError
from schemas.records import Features

OPENFACE_FULL_SCALE = 5.0  # its intensities go from 0 to 5
# Of its 68 landmarks: inner lips, and outer eye corners.
OPENFACE_MOUTH = {
    f"{axis}_{point}": f"{name}_{axis}"
    for point, name in ((62, "upper"), (66, "lower"), (36, "right"), (45, "left"))
    for axis in "xy"
}
WHOLE_FRAME = (0.0, 0.0, 1.0, 1.0)  # the box of a face whose place the table does not tell
# A table of nearly all frames whose times leave the recording's by more than this was timed by another clock.
CLOCK_TOLERANCE_S, CLOCK_TOLERANCE_SHARE, NEARLY_ALL = 0.5, 0.05, 0.9
Grid = npt.NDArray[np.int64]
T = TypeVar("T", bound="_TableAus")


class TableParams(Params):
    min_confidence: float = Field(default=0.5, ge=0, le=1)  # of a row that is believed
    min_track_frames: int = Field(default=3, ge=1)
    max_faces: int = Field(default=4, ge=1, le=16)
    rest_context_s: float = Field(default=3.0, ge=0)  # looked at on both sides of a segment, within its shots
    events: EventRule = EventRule()


class OpenfaceParams(TableParams):
    min_confidence: float = Field(default=0.75, ge=0, le=1)
    # Whether a row stands at its timestamp, or at the time of the frame with its number in the recording.
    times: Literal["timestamp", "frame"] = "timestamp"


class PyfeatTableParams(TableParams):
    pass


class FaceRows(NamedTuple):
    """A table in our terms, a row per face and frame: shapes (rows,), boxes (rows, 4: x0, y0, x1, y1)."""

    times_s: Array  # source time
    scores: Array
    believed: npt.NDArray[np.bool_]  # holds a face that its program was sure enough of
    boxes: Array  # as shares of the frame
    curves: dict[str, Curve]


class _TableAus:
    """One table for all segments of its recording; it is read when the first of them is wanted."""

    stage: ClassVar[str] = "au"
    name: ClassVar[str]
    kind: ClassVar[Kind]
    version: ClassVar[str] = "2"
    weights_digest: ClassVar[str | None] = None

    def __init__(self, params: TableParams) -> None:
        self._params = params
        self._path: Path | None = None
        self._sha256 = ""
        self._rows: dict[str, FaceRows | ItemError] = {}  # of the source in hand: files may be copies

    def beside(self: T, recording: Path) -> T:
        """This extractor with the table of a recording.

        Raises:
            ItemError: "table_missing", "unreadable_table".
        """
        found = find_face_table(recording, self.kind)
        if found is None:
            raise ItemError(
                "table_missing",
                f"no table of the kind {self.name} stands beside {recording.name}",
                f"put {recording.stem}.csv in the same folder, or use another au backend, then: emotrace run",
            )
        self._path, self._sha256 = found[1], digest_beside(found[1], "unreadable_table")
        return self

    @property
    def params(self) -> dict[str, Any]:
        return self._params.model_dump(mode="json") | {"sha256": self._sha256}

    def extract(self, clips: Iterable[Clip]) -> Iterator[tuple[Clip, Features | ItemError]]:
        """The faces of each segment; all clips must be of the recording that the table stands beside."""
        return one_by_one(self, clips, self._features)

    def _rows_of(self, table: FaceTable, clip: Clip) -> FaceRows:
        raise NotImplementedError

    def _read(self, clip: Clip) -> FaceRows:
        """The rows of the table; a mistake in it is the same for every segment."""
        if clip.source.id not in self._rows:
            assert self._path is not None, "made ready by `beside`"
            try:
                found: FaceRows | ItemError = self._rows_of(read_face_table(self._path, self.kind), clip)
            except ItemError as error:
                found = error
            self._rows = {clip.source.id: found}
        rows = self._rows[clip.source.id]
        if isinstance(rows, ItemError):
            raise rows
        return rows

    def _features(self, clip: Clip) -> Features:
        if clip.source.media.video is None:
            return features_of(self, clip, missing="no_video_stream")
        rows = self._read(clip)
        span = surroundings(clip, self._params.rest_context_s)
        times_s, grid = _by_frame(rows, span.start_s, span.end_s, self._params.max_faces)
        window = Window.of(times_s, clip)
        tracks, dropped = track_faces(
            times_s,
            _laid_out(rows.boxes, grid),
            _laid_out(rows.scores, grid),
            min_frames=self._params.min_track_frames,
            wanted=window.inside,
        )
        faces = []
        for track in tracks:
            chosen = np.full(len(times_s), -1)
            chosen[track.rows] = grid[track.rows, track.slots]
            curves = {
                name: Curve(unit, _laid_out(values, chosen)) for name, (unit, values) in rows.curves.items()
            }
            faces.append(Face(track, curves))
        notes = [*track_notes(dropped), f"imported from {self._path.name if self._path else ''}"]
        return tell_faces(self, clip, window, faces, rule=self._params.events, notes=notes)


def openface_rows(table: FaceTable, clip: Clip, params: OpenfaceParams) -> FaceRows:
    """OpenFace: intensities from 0-5 to 0-1, pose from radians to our degrees (its pitch and yaw turn round)."""
    rows = len(table.columns["frame"])
    scores = _or(table.columns.get("confidence"), np.ones(rows))
    success = _or(table.columns.get("success"), np.ones(rows))
    curves: dict[str, Curve] = {}
    for name in table.units:
        values, unit, strong = table.columns[name], name[:4], f"{name[:4]}_r" in table.columns
        if name.endswith("_r"):
            curves[unit] = Curve(INTENSITY, np.clip(values / OPENFACE_FULL_SCALE, 0.0, 1.0))
        elif strong:
            curves[f"present_{unit}"] = Curve("flag", values)
        else:
            curves[unit] = Curve(PRESENCE, values)
    for name, told, sign in (
        ("pose_Rx", "head_pitch_deg", -1.0),
        ("pose_Ry", "head_yaw_deg", -1.0),
        ("pose_Rz", "head_roll_deg", 1.0),
    ):
        if name in table.columns:
            curves[told] = Curve(DEGREES, sign * np.degrees(table.columns[name]))
    if set(OPENFACE_MOUTH) <= set(table.columns) and {"head_pitch_deg", "head_yaw_deg"} <= set(curves):
        points = {told: table.columns[name] for name, told in OPENFACE_MOUTH.items()}
        turned = (curves[f"head_{angle}_deg"].values for angle in ("pitch", "yaw"))
        curves[MOUTH_OPEN] = mouth_opening(points, *turned)
    return FaceRows(
        _openface_times_s(table, clip, params.times),
        scores,
        (success >= 0.5) & (scores >= params.min_confidence),
        _openface_boxes(table, clip),
        curves,
    )


def _openface_times_s(table: FaceTable, clip: Clip, times: str) -> Array:
    stamps, numbers = table.columns["timestamp"], table.columns["frame"]
    if times == "frame":
        return _frame_times_s(numbers - 1, clip, "OpenFace counts frames from 1")
    pts_s = _pts_s(clip)
    if len(numbers) and NEARLY_ALL * (last := numbers.max()) > len(pts_s):
        raise _of_another_file(last, len(pts_s), "OpenFace counts frames from 1")
    if len(numbers) and NEARLY_ALL * len(pts_s) <= last <= len(pts_s):
        true_s, said_s = float(pts_s[int(last) - 1]), float(stamps.max())
        if abs(true_s - said_s) > max(CLOCK_TOLERANCE_S, CLOCK_TOLERANCE_SHARE * true_s):
            raise ItemError(
                "table_times",
                f"the table puts frame {last:.0f} at {said_s:g} s, the recording at {true_s:g} s",
                'set times = "frame" in [features.au], then: emotrace run',
            )
    return stamps


def _openface_boxes(table: FaceTable, clip: Clip) -> Array:
    """The box of the 2D landmarks, in pixels of the picture as it is shown; the whole frame without landmarks."""
    points = {axis: [n for n in table.columns if n.startswith(f"{axis}_")] for axis in ("x", "y")}
    rows = len(table.columns["frame"])
    if not points["x"] or not points["y"]:
        return np.tile(np.array(WHOLE_FRAME), (rows, 1))
    x, y = (np.array([table.columns[name] for name in points[axis]]) for axis in ("x", "y"))
    width_px, height_px = _size_px(clip)
    corners = [x.min(axis=0) / width_px, y.min(axis=0) / height_px]
    corners += [x.max(axis=0) / width_px, y.max(axis=0) / height_px]
    boxes: Array = np.stack(corners, axis=1)
    return boxes


def pyfeat_rows(table: FaceTable, clip: Clip, params: TableParams) -> FaceRows:
    """Py-Feat: rows by the index of their frame; the pose only where it is known to be in radians."""
    columns = dict(table.columns)
    if "valence" not in columns:  # written before Detectorv2: the unit of its angles differs between versions
        columns = {name: values for name, values in columns.items() if name not in ("Pitch", "Yaw", "Roll")}
    x, y, width, height = (columns[f"FaceRect{side}"] for side in ("X", "Y", "Width", "Height"))
    width_px, height_px = _size_px(clip)
    boxes = np.stack([x / width_px, y / height_px, (x + width) / width_px, (y + height) / height_px], axis=1)
    scores = _or(columns.get("FaceScore"), np.ones(len(x)))
    return FaceRows(
        _frame_times_s(columns["frame"], clip, "Py-Feat counts frames from 0"),
        scores,
        np.isfinite(boxes).all(axis=1) & (scores >= params.min_confidence),
        boxes,
        pyfeat_curves(columns),
    )


def _frame_times_s(numbers: Array, clip: Clip, counting: str) -> Array:
    """Times of frames by their index among the presented frames of the recording, never by a nominal rate."""
    pts_s = _pts_s(clip)
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < len(pts_s)):
        raise _of_another_file(numbers.max(), len(pts_s), counting)
    times_s: Array = pts_s[numbers.astype(np.int64)]
    return times_s


def _of_another_file(last: float, frames: int, counting: str) -> ItemError:
    return ItemError(
        "table_frames",
        f"the table tells of frame {last:.0f}, the recording has {frames} ({counting})",
        "the table was made of another file: remove it or make it anew, then: emotrace run",
    )


def _pts_s(clip: Clip) -> Array:
    if clip.pts is None:
        return np.zeros(0)
    table: Array = np.load(clip.pts, allow_pickle=False)
    return table


def _size_px(clip: Clip) -> tuple[int, int]:
    """Width and height of the pictures as they are shown: OpenCV and torchcodec, which both programs read with,
    turn them as the container says, but do not stretch them."""
    video = clip.source.media.video
    assert video is not None  # asked for before
    turned = video.rotation_deg % 180 == 90
    return (video.height_px, video.width_px) if turned else (video.width_px, video.height_px)


def _or(values: Array | None, instead: Array) -> Array:
    return instead if values is None else values


def _by_frame(rows: FaceRows, start_s: float, end_s: float, max_faces: int) -> tuple[Array, Grid]:
    """Times of the frames of [start_s, end_s), and their believed rows, best scored first (-1 = no face)."""
    here = (rows.times_s >= start_s - 1e-6) & (rows.times_s < max(end_s, start_s + 1e-3) - 1e-6)
    times_s, frames = np.unique(rows.times_s[here], return_inverse=True)
    grid = np.full((len(times_s), max_faces), -1, dtype=np.int64)
    filled = np.zeros(len(times_s), dtype=np.int64)
    places = np.flatnonzero(here)
    order = np.argsort(-np.nan_to_num(rows.scores[places]), kind="stable")
    for place, frame in zip(places[order], frames[order], strict=True):
        if rows.believed[place] and filled[frame] < max_faces:
            grid[frame, filled[frame]] = place
            filled[frame] += 1
    return times_s, grid


def _laid_out(values: Array, grid: Grid) -> Array:
    """`values` (rows, ...) by the row numbers of a grid; NaN where that is -1."""
    laid = np.full(grid.shape + values.shape[1:], np.nan)
    laid[grid >= 0] = values[grid[grid >= 0]]
    return laid


class OpenfaceAus(_TableAus):
    """Extractor "au.openface"."""

    name: ClassVar[str] = "openface"
    kind: ClassVar[Kind] = "openface"

    def __init__(self, params: OpenfaceParams | None = None) -> None:
        self._own = params or OpenfaceParams()
        super().__init__(self._own)

    def _rows_of(self, table: FaceTable, clip: Clip) -> FaceRows:
        return openface_rows(table, clip, self._own)


class PyfeatTableAus(_TableAus):
    """Extractor "au.pyfeat_csv"."""

    name: ClassVar[str] = "pyfeat_csv"
    kind: ClassVar[Kind] = "pyfeat_csv"

    def __init__(self, params: PyfeatTableParams | None = None) -> None:
        super().__init__(params or PyfeatTableParams())

    def _rows_of(self, table: FaceTable, clip: Clip) -> FaceRows:
        return pyfeat_rows(table, clip, self._params)
