"""The table of what is right takes any folder with a truth file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.accuracy import COLUMNS, OWN_TRUTH, TRUTH, main, read_truth
from tests.conftest import data_dir


@pytest.mark.media
@pytest.mark.slow
def test_a_folder_of_ones_own_is_measured(
    tmp_path: Path, media: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copyfile(media("audio/jfk.flac"), tmp_path / "speech.flac")
    said = "And so my fellow Americans ask not what your country can do for you"
    said += " ask what you can do for your country"
    (tmp_path / "speech.txt").write_text(said)  # answers for no backend
    (tmp_path / TRUTH).write_text(
        f"path,measure,truth\nspeech.flac,transcript,{said}\ngone.wav,speech,none\n"
    )
    main(str(tmp_path))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"left out, not there: {tmp_path / 'gone.wav'}"
    table = {line.split()[0]: line for line in lines if not line.startswith(("{", "left"))}
    assert float(table["word_error_rate"].split()[2]) < 0.5
    assert "pocketsphinx" in table["word_error_rate"]
    assert table["speech_some"].split()[1:3] == ["1", "1.000"]
    assert float(table["pitch_gross_error"].split()[2]) < 0.1


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.wav,transcrpt,hello", ':2: unknown measure "transcrpt" -> known: transcript,'),
        ("a.wav,faces,two", ':2: faces cannot be "two"'),
        ("a.wav,au_order,AU12", ':2: au_order cannot be "AU12"'),
        ("a.wav", ":2: a row needs path, measure, truth"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / TRUTH).write_text(f"{','.join(COLUMNS)}\n{row}\n")
    with pytest.raises(SystemExit) as error:
        read_truth(tmp_path, tmp_path / TRUTH)
    assert said in str(error.value)


@pytest.mark.media
def test_the_own_truth_speaks_of_recordings_that_are_there(media: Callable[[str], Path]) -> None:
    media("audio/jfk.flac")
    told = OWN_TRUTH.read_text(encoding="utf-8").splitlines()[1:]
    assert len(read_truth(data_dir() / "media", OWN_TRUTH)) == len({row.partition(",")[0] for row in told})
