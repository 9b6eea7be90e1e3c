"""Ways to compare pictures: what each of them sees, and what none of them may take for a difference."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline.pictures import LIKENESS
from pipeline.pictures.base import WIDTH_PX, Gray, Likeness, gray_picture, picture_hash
from schemas.errors import UserError
from schemas.registry import resolve

SIZES = [(320, 180), (180, 320), (64, 48), (16, 16), (3, 200), (1, 1)]
HASH_BITS = 256


def likeness(name: str) -> Likeness:
    made: Likeness = resolve(LIKENESS, name, what="way to choose key frames")()
    return made


def scene(seed: int, *, shift_px: int = 0, brighter: int = 0, noise: float = 0.0) -> Gray:
    """Soft blobs and sharp squares on grey; everything moves by `shift_px` to the right."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:180, 0:320]
    picture = np.full((180, 320), 90.0)
    for _ in range(12):
        y, x, size, level = (
            rng.uniform(20, 160),
            rng.uniform(20, 300),
            rng.uniform(8, 30),
            rng.uniform(-80, 80),
        )
        at = (np.abs(rows - y) < size / 2) & (np.abs(columns - x - shift_px) < size / 2)
        picture = np.where(at, 90 + level, picture)
        picture += level / 2 * np.exp(-((rows - y) ** 2 + (columns - x - shift_px) ** 2) / (2 * size**2))
    grain = np.random.default_rng(seed + 1).normal(0, noise, picture.shape) if noise else 0.0
    return np.clip(picture + brighter + grain, 0, 255).astype(np.uint8)


def apart(name: str, one: Gray, other: Gray) -> float:
    way = likeness(name)
    return way.distance(way.describe(one), way.describe(other))


def jpeg(picture: Gray, quality: int = 90) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return file.getvalue()


def bits(one: Gray, other: Gray) -> int:
    return (int(picture_hash(one), 16) ^ int(picture_hash(other), 16)).bit_count()


@pytest.mark.parametrize("name", LIKENESS)
@given(size=st.sampled_from(SIZES), seeds=st.tuples(st.integers(0, 9), st.integers(0, 9)))
def test_a_distance_is_symmetric_and_none_to_itself(
    name: str, size: tuple[int, int], seeds: tuple[int, int]
) -> None:
    one, other = (np.random.default_rng(seed).integers(0, 256, size[::-1], dtype=np.uint8) for seed in seeds)
    there, back = apart(name, one, other), apart(name, other, one)
    assert there == pytest.approx(back, abs=1e-6)
    assert there >= 0
    assert apart(name, one, one) == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("name", LIKENESS)
def test_noise_is_no_difference_and_another_scene_is_one(name: str) -> None:
    least = likeness(name).least
    assert apart(name, scene(1), gray_picture(jpeg(scene(1, noise=2)))) < least
    assert apart(name, scene(1), scene(2)) > 2 * least


def test_each_way_sees_what_it_is_for() -> None:
    darker, moved = scene(1, brighter=-20), scene(1, shift_px=6)
    seen = {name: (apart(name, scene(1), darker), apart(name, scene(1), moved)) for name in LIKENESS}
    least = {name: likeness(name).least for name in LIKENESS}
    assert seen["difference"][0] > least["difference"]
    assert seen["difference"][1] > least["difference"]
    assert seen["flow"][0] < least["flow"] < seen["flow"][1]
    assert seen["flow"][1] == pytest.approx(6 / 320 / np.sqrt(2), rel=0.5)  # of the square's diagonal
    assert max(seen["orb"]) < 1  # corners are found again where they went


def test_a_way_that_needs_opencv_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    for name in ("flow", "orb"):
        with pytest.raises(UserError) as raised:
            likeness(name)
        assert name in raised.value.message
        assert "emotrace[keyframes]" in raised.value.remedy
    assert apart("difference", scene(1), scene(1)) == 0


def test_a_hash_outlives_encoding_and_size_and_tells_pictures_apart() -> None:
    again = np.asarray(Image.fromarray(scene(1)).resize((200, 112), Image.Resampling.BOX))
    assert bits(scene(1), gray_picture(jpeg(scene(1), quality=40))) <= 10
    assert bits(scene(1), again) <= 10
    assert min(bits(scene(n), scene(n + 1)) for n in range(6)) > 60
    assert len(picture_hash(scene(1))) == HASH_BITS // 4
    assert bits(np.zeros((4, 4), np.uint8), np.full((9, 9), 200, np.uint8)) == 0  # nothing is in either


@pytest.mark.parametrize("size", [(1280, 720), (641, 359), (90, 160), (1, 1)])
def test_a_picture_is_read_no_wider_than_needed_and_never_enlarged(size: tuple[int, int]) -> None:
    width, height = size
    read = gray_picture(jpeg(np.full((height, width), 77, np.uint8)))
    wanted = min(width, WIDTH_PX)
    assert read.shape == (max(1, round(height * wanted / width)), wanted)
    assert abs(int(read.mean()) - 77) <= 1
