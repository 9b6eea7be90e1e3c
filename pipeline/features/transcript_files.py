"""What a transcript beside a recording says, whatever its format."""

from __future__ import annotations

from pathlib import Path

from pipeline.features.beside import AGAIN, cannot_read
from pipeline.features.transcripts import Cue, GivenText, TimedWords, decode_text, read_cues
from pipeline.features.transcripts_textgrid import read_textgrid
from schemas.errors import ItemError, UserError

Said = GivenText | TimedWords | tuple[Cue, ...]


def read_file(path: Path) -> tuple[bytes, Said]:
    """The bytes of a transcript and what they say.

    Raises:
        ItemError: "unreadable_transcript"; "bad_transcript", with file and line.
    """
    try:
        data = path.read_bytes()
        return data, read_said(data, path)
    except OSError as error:
        raise cannot_read(path, error, "unreadable_transcript") from error
    except UserError as error:
        message, remedy = f"{path}:{error.line}: {error.message}", f"{error.remedy}, {AGAIN}"
        raise ItemError(error.code, message, remedy) from error


def read_said(data: bytes, path: Path) -> Said:
    """What the bytes of a transcript say.

    Raises:
        UserError: "bad_transcript", with the file and the line.
    """
    text, kind = decode_text(data, str(path)), path.suffix.lower()
    if kind == ".textgrid":
        return read_textgrid(text, str(path))
    return GivenText(text) if kind == ".txt" else tuple(read_cues(text, kind, str(path)))
