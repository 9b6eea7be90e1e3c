"""Grey pictures, their perceptual hash, and the contract of a way to compare two of them."""

from __future__ import annotations

import io
from types import ModuleType
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.fft import dctn

from schemas.errors import UserError

Gray = npt.NDArray[np.uint8]  # shape (height, width)
WIDTH_PX = 320
HASH_SIDE = 16  # frequencies per direction: 256 bits tell two moments of one talking head apart, 64 do not
HASH_PICTURE_PX = 4 * HASH_SIDE


class Picture(NamedTuple):
    """A sampled frame; `time_s` is source time."""

    time_s: float
    gray: Gray


class Likeness(Protocol):
    """A way to compare pictures. Made anew for each choice, so it may hold state and need not bear threads.

    `least` is the smallest distance at which two pictures show something different. Distances are symmetric, at
    least 0, and 0 for a picture and itself.
    """

    name: ClassVar[str]
    least: ClassVar[float]

    def describe(self, picture: Gray) -> Any:
        """What is kept of a picture to compare it; computed once."""

    def distance(self, one: Any, other: Any) -> float:
        """How far two described pictures lie apart."""


def gray_picture(jpeg: bytes) -> Gray:
    """The grey values of a JPEG, at most `WIDTH_PX` wide."""
    with Image.open(io.BytesIO(jpeg)) as image:
        width = min(WIDTH_PX, image.width)
        height = max(1, round(image.height * width / image.width))
        image.draft("L", (width, height))  # the decoder itself leaves out what is not needed
        return shrunk(np.asarray(image.convert("L")), width, height)


def shrunk(picture: Gray, width_px: int, height_px: int) -> Gray:
    """The picture at another size, every pixel the mean of what it covers."""
    image = Image.fromarray(picture).resize((width_px, height_px), Image.Resampling.BOX)
    return np.asarray(image, dtype=np.uint8)


def picture_hash(picture: Gray) -> str:
    """256 bits as 64 hex digits; pictures that look alike differ in few of them.

    The signs of the low frequencies of the cosine transform about their median, the mean of the picture left out.

    Reference: Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions",
    https://www.phash.org/docs/pubs/thesis_zauner.pdf (there with 64 bits)
    """
    small = shrunk(picture, HASH_PICTURE_PX, HASH_PICTURE_PX).astype(np.float64)
    low = dctn(small, norm="ortho")[:HASH_SIDE, :HASH_SIDE].ravel()
    low[0] = 0.0
    return np.packbits(low > np.median(low)).tobytes().hex()


def open_cv(method: str) -> ModuleType:
    """OpenCV on one thread, because sums in another order would change the last digits.

    Raises:
        UserError: it is not installed.
    """
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise UserError(
            "not_installed",
            f'select.key_frame_method = "{method}" needs OpenCV, which is not installed',
            'install it: uv pip install "emotrace[keyframes]"; or set "difference", which needs nothing',
        ) from error
    cv2.setNumThreads(1)
    return cv2
