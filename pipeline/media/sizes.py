"""How large a picture of a recording will be, told without decoding it."""

from __future__ import annotations

from schemas.parts import VideoFacts


def shown_size(video: VideoFacts, max_width_px: int | None) -> tuple[int, int]:
    """(width, height) upright, no wider than asked; pixels count as square."""
    width, height = video.width_px, video.height_px
    if video.rotation_deg % 180 == 90:
        width, height = height, width
    factor = min(1.0, max_width_px / width) if max_width_px else 1.0
    return max(1, round(width * factor)), max(1, round(height * factor))
