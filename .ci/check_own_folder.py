"""The line of README.md for one's own folder, run as it is written: check_own_folder.py PROJECT DEMO_DIR.

The folder holds recordings of the demo, without their subtitles, and shared test media where they are there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from calls import EMOTRACE, emotrace

README = Path(__file__).parents[1] / "README.md"
SHARED = (
    "video/wh_address_a.mp4",
    "video/pyfeat_no_face.mp4",
    "images/obama_portrait.jpg",
    "audio/LJ050-0131.wav",
)
DEMO = ("ada_neutral.mp4", "bea_joy.mp4", "cleo_no_face.mp4")


def main(project: Path, demo: Path) -> None:
    media = Path(os.environ["EMOTRACE_TEST_DATA"]) / "media"
    recordings = [demo / "media" / name for name in DEMO]
    recordings += [media / name for name in SHARED if media.is_dir()]
    folder = project.with_name(f"{project.name}-recordings")
    folder.mkdir(parents=True)
    for recording in recordings:
        shutil.copyfile(recording, folder / recording.name)
    line = own_folder_line().replace("FOLDER", str(folder))
    line = re.sub(r"\bP\b", str(project), line)
    print(f"$ {line}")
    path = f"{EMOTRACE.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["bash", "-c", line], env={**os.environ, "PATH": path}, check=True)
    status = emotrace("status", "--project", str(project))
    assert status["sources"] == len(recordings), status
    assert status["failed_items"] == []
    assert (project / "releases" / "0.1.0" / "README.md").is_file()
    print(f"the own-folder line of the README holds: {status['samples']} samples, release verified")


def own_folder_line() -> str:
    """The one line that leads from `init` to `verify`."""
    (line,) = re.findall(r"^emotrace init P && .*", README.read_text("utf-8"), re.MULTILINE)
    commands = [part.split()[1] for part in line.split(" && ")]
    assert commands == ["init", "ingest", "run", "release", "verify"], commands
    assert line.endswith(" verify P/releases/0.1.0")
    return str(line)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
