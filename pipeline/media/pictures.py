"""Turns decoded frames into upright pictures in square pixels, no wider than asked."""

from __future__ import annotations

from typing import Any

from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter
from PIL import Image

from pipeline.media.container import clockwise_deg, display_size

_TURNS = {
    90: Image.Transpose.ROTATE_270,  # Pillow turns counter-clockwise
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_90,
}


class PictureMaker:
    """Makes pictures from the frames of one stream; keeps one scaler, whose set-up costs more than its use."""

    def __init__(self, max_width_px: int, pixel_aspect: float = 1.0) -> None:
        self._max_width_px, self._pixel_aspect = max_width_px, pixel_aspect
        self._scaler = VideoReformatter()

    def picture(self, frame: Any) -> Image.Image:
        """YCbCr picture of a PyAV frame with the stream's rotation applied; never enlarged."""
        turn = clockwise_deg(frame)
        shown_width, shown_height = display_size(frame.width, frame.height, turn, self._pixel_aspect)
        factor = min(1.0, self._max_width_px / shown_width)
        width, height = max(1, round(shown_width * factor)), max(1, round(shown_height * factor))
        if turn % 180 == 90:
            width, height = height, width
        # YCbCr as JPEG stores it (BT.601, full range): half the cost of going through RGB.
        scaled = self._scaler.reformat(
            frame,
            width=width,
            height=height,
            format="yuvj444p",
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        planes = [
            Image.frombuffer("L", (width, height), bytes(plane), "raw", "L", plane.line_size, 1)
            for plane in scaled.planes
        ]
        image = Image.merge("YCbCr", planes)
        return image if turn == 0 else image.transpose(_TURNS[turn])
