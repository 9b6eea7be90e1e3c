"""How the checks of CI call emotrace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

EMOTRACE = Path(sys.executable).with_name("emotrace")


def emotrace(*arguments: str) -> dict[str, Any]:
    """The JSON object of a command that must end well."""
    done = subprocess.run([EMOTRACE, *arguments, "--json"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (
        f"emotrace {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    )
    value: dict[str, Any] = json.loads(done.stdout)
    return value
