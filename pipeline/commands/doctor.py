"""Is this machine ready? Each check is tried for real and says what to do when it fails."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.preflight import judge_notes, preflight
from schemas.errors import UserError
from schemas.settings import PROJECT_FILE, store_url
from schemas.settings_file import load_settings
from schemas.store import Store
from schemas.taxonomy import load_taxonomy

MIN_FREE_GB = 2.0


def examine(project: Path) -> list[dict[str, Any]]:
    """One row per check: name, ok, detail. Project checks are made only where there is a project."""
    checks: dict[str, Callable[[], str]] = {
        "python": _python,
        "video encoding": _encoders,
        "voice activity model": _voice_activity,
        "words": _words,
        "uv": _uv,
        "faces": _faces,
        "heavy backends": _heavy,
        "free space": lambda: _space(project),
    }
    if (project / PROJECT_FILE).exists():
        checks |= {"settings": lambda: _settings(project), "store": lambda: _store(project)}
        checks |= {"models": lambda: _models(project)}
    return [_tried(name, check) for name, check in checks.items()]


def _tried(name: str, check: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"check": name, "ok": True, "detail": check()}
    except UserError as error:
        return {"check": name, "ok": False, "detail": str(error)}


def _python() -> str:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] < (3, 13):
        raise UserError("python", f"Python {version}", "use Python 3.11 or 3.12")
    return version


def _encoders() -> str:
    import av

    missing = {"libx264", "aac"} - set(av.codecs_available)
    if missing:
        raise UserError(
            "encoders",
            f"PyAV has no {', '.join(sorted(missing))}",
            "install PyAV's own wheel: pip install av",
        )
    return f"PyAV {av.__version__} with libx264 and aac"


def _voice_activity() -> str:
    import numpy as np

    from pipeline.media.vad import VAD_VERSION, speech_regions

    speech_regions(np.zeros(16_000, np.float32))
    return f"{VAD_VERSION} loads and runs"


def _words() -> str:
    from pipeline.features.backends import why

    return "; ".join(
        f"{name}: {why(f'asr.{name}')}" for name in ("whisperx", "faster_whisper", "pocketsphinx")
    )


def _faces() -> str:
    from pipeline.features.au_mediapipe import SCRIPT
    from pipeline.features.backends import FACTS
    from pipeline.features.worker import environment_is_ready

    if environment_is_ready(SCRIPT):
        return "the environment of the face worker is ready"
    return f"not made yet: {FACTS['au.mediapipe'].download}"


def _heavy() -> str:
    """Whether the environments of the backends are made that nobody gets unasked."""
    from pipeline.features.backends import AUTO, FACTS, built

    usual = {f"{stage}.{name}" for stage, name in AUTO.items()}
    keys = [key for key, facts in FACTS.items() if facts.worker is not None and key not in usual]
    ready = [key for key in keys if built(key)]
    made = ", ".join(ready) or "none"
    later = ", ".join(key for key in keys if key not in ready) or "none"
    return f"ready: {made}; made on first use: {later} (emotrace backends tells size and licence)"


def _uv() -> str:
    from uv import find_uv_bin

    try:
        done = subprocess.run([find_uv_bin(), "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UserError("uv", "uv, which runs the face worker, does not start", "pip install uv") from error
    return done.stdout.strip()


def _space(project: Path) -> str:
    folder = next(p for p in (project.resolve(), *project.resolve().parents) if p.exists())
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < MIN_FREE_GB:
        raise UserError(
            "no_space", f"{free_gb:.1f} GB free", f"free at least {MIN_FREE_GB:g} GB", str(folder)
        )
    return f"{free_gb:.0f} GB at {folder}"


def _settings(project: Path) -> str:
    settings = load_settings(project)
    return f"{settings.project.name}, labels of {load_taxonomy(settings.project.taxonomy, project).name}"


def _store(project: Path) -> str:
    store = Store.open(store_url(project, load_settings(project)))
    store.close()
    return "opens"


def _models(project: Path) -> str:
    settings = load_settings(project)
    preflight(project, settings)
    names = [section.name for section in (*settings.annotators, *settings.judges)]
    return "; ".join([f"can be opened: {', '.join(names)}", *judge_notes(settings)])
