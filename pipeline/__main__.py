"""The program `emotrace`. It imports the command line late, so that Ctrl-C is answered from the start."""

from __future__ import annotations

import sys
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    try:
        from pipeline.cli import main as command_line
    except KeyboardInterrupt:
        sys.stderr.write("emotrace: interrupted\n")
        sys.exit(INTERRUPTED)
    command_line()


if __name__ == "__main__":
    main()
