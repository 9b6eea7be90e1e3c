"""What the workers of MediaPipe hold in memory: nothing that draws, and no model that no clip needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pipeline.features.worker import WORKERS, build_environment, uv_binary

pytestmark = pytest.mark.worker

FACES = """
import sys
sys.path.insert(0, sys.argv[1])
import mediapipe_faces as worker
models = worker.Models(4, 0.5)
models.of_clip(still=False)
assert {"video", "far"} <= set(vars(models)) and not {"still", "crop", "near"} & set(vars(models)), vars(models)
assert models.of_clip(still=False) is models.video
assert models.of_clip(still=True) is models.still
"""
POSE = """
import sys
sys.path.insert(0, sys.argv[1])
import mediapipe_pose as worker
models = worker.Models(0.5)
models.of_clip(still=True)
assert "still" in vars(models) and "video" not in vars(models), vars(models)
"""
NOTHING_DRAWS = """
drawing = {name for name in sys.modules if name.startswith(("matplotlib.", "PIL.", "jax"))}
assert drawing <= {"matplotlib.pyplot"}, drawing
import pyarrow
assert pyarrow.default_memory_pool().backend_name == "system"
"""


@pytest.mark.parametrize(("name", "code"), [("mediapipe_faces.py", FACES), ("mediapipe_pose.py", POSE)])
def test_models_are_made_when_a_clip_needs_them_and_nothing_is_loaded_that_draws(
    name: str, code: str
) -> None:
    script: Path = WORKERS / name
    build_environment(script)
    find = [uv_binary(), "python", "find", "--script", str(script)]
    python = subprocess.run(find, capture_output=True, text=True, check=True).stdout.strip()
    command = [python, "-c", code + NOTHING_DRAWS, str(script.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
