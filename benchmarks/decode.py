"""CPU of the one decode pass against plain decoding, and against one tool per job.

All decode as PyAV does by default: threads over frames take some 15 % more CPU.

Run: python -m benchmarks.decode [recording ...]
A generated 720p recording is always measured; recordings given as arguments (without any, one of the test data)
are measured against plain decoding.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.paired import emit, paired, test_recording
from pipeline.media.decode import decode
from pipeline.media.probe import probe

RUNS = 5
SCENE_S, SCENES, FPS = 5, 8, 30


def main(*recordings: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        generated = make_recording(work / "generated.mp4")
        bits = generated.stat().st_size * 8 / (SCENE_S * SCENES)
        print(f"generated: 1280x720, {SCENES * SCENE_S} s, {bits / 1e6:.2f} Mb/s, with sound")
        given = [Path(name) for name in recordings] or [test_recording("video/psd_testvideo.mp4")]
        for path in (path for path in given if path.exists()):
            report(f"one pass / plain decode, {path.name}", one_pass(path, work), plain(path), 2.0)
        report("one pass / separate passes, generated", one_pass(generated, work), separate(generated), 0.5)
        report("one pass / plain decode, generated", one_pass(generated, work), plain(generated), 1.5)


def report(name: str, a: Callable[[], object], b: Callable[[], object], target: float) -> None:
    result = paired(a, b, RUNS)
    spread = ", ".join(f"{r:.2f}" for r in result.ratios)
    print(f"{name}: {result.a_s:.2f} s / {result.b_s:.2f} s = {result.ratio:.2f} ({spread})")
    emit(name, result.a_s, "CPU s", result.ratio, target, result.ratio <= target, RUNS)


def one_pass(path: Path, work: Path) -> Callable[[], object]:
    facts = probe(path)
    return lambda: decode(path, facts, work / "out")


def plain(path: Path) -> Callable[[], object]:
    def run() -> None:
        with av.open(str(path)) as container:
            for _ in container.decode(video=0):
                pass

    return run


def separate(path: Path) -> Callable[[], object]:
    """Shots by PySceneDetect, pictures by a second decode, sound by a third read: one tool per job."""
    from scenedetect import ContentDetector, detect  # type: ignore[import-untyped]

    def pictures() -> None:
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number % (FPS // 5) == 0:
                    image = frame.to_image(width=640, height=360)  # type: ignore[no-untyped-call]
                    image.save(io.BytesIO(), "JPEG", quality=90)

    def sound() -> None:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=16_000)
        with av.open(str(path)) as container:
            for frame in container.decode(audio=0):
                resampler.resample(frame)

    def run() -> None:
        detect(str(path), ContentDetector())
        pictures()
        sound()

    return run


def make_recording(path: Path) -> Path:
    """Scenes of drifting colour with noise and hard cuts, and a tone, at about 2.4 Mb/s."""
    rng = np.random.default_rng(7)
    noise = rng.integers(0, 24, (900, 1400, 3), dtype=np.uint8)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "g": "150"})
        video.width, video.height, video.pix_fmt, video.bit_rate = 1280, 720, "yuv420p", 2_400_000
        audio = out.add_stream("aac", rate=48_000, layout="stereo")
        for number in range(SCENES * SCENE_S * FPS):
            scene, within = divmod(number, SCENE_S * FPS)
            base = np.array([(60 * scene) % 200, (90 * scene + 40) % 200, (35 * scene + 80) % 200], np.uint8)
            y, x = within % 150, (2 * within) % 110
            frame = av.VideoFrame.from_ndarray(noise[y : y + 720, x : x + 1280] + base, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        clock = np.arange(SCENES * SCENE_S * 48_000) / 48_000
        tone = np.tile((0.3 * np.sin(2 * np.pi * 220 * clock)).astype(np.float32), (2, 1))
        for first in range(0, tone.shape[1], 1024):
            block = np.ascontiguousarray(tone[:, first : first + 1024])
            sound = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = 48_000, first, Fraction(1, 48_000)
            out.mux(audio.encode(sound))
        out.mux(audio.encode(None))
    return path


if __name__ == "__main__":
    main(*sys.argv[1:])
