"""Whose body was measured: the pose backend follows one person, who need not be the target."""

from __future__ import annotations

from schemas.parts import Event, Target
from schemas.records import Features

BOX_MARGIN = 0.25  # of the face's size: boxes end at the mesh, and both move


def body_events(target: Target, faces: Features | None, body: Features | None) -> tuple[Event, ...]:
    """What the target's body does; nothing when several faces are seen and the body is another's."""
    if body is None or not _is_the_targets(target, faces, body):
        return ()
    return body.events


def _is_the_targets(target: Target, faces: Features | None, body: Features) -> bool:
    """With one face or none there is one person to tell of; else the nose must lie in the target's face."""
    tracks = faces.tracks if faces else ()
    if len(tracks) < 2:
        return True
    nose = (body.summary.get("nose_x"), body.summary.get("nose_y"))
    face = next((track for track in tracks if track.name == target.face_track), None)
    if face is None or nose[0] is None or nose[1] is None:
        return False
    x, y, width, height = face.box
    return (
        -BOX_MARGIN * width <= nose[0] - x <= (1 + BOX_MARGIN) * width
        and -BOX_MARGIN * height <= nose[1] - y <= (1 + BOX_MARGIN) * height
    )
