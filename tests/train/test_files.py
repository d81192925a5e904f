"""Files are written complete or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from train.files import CannotWrite, replacing


def test_a_file_that_cannot_be_finished_does_not_replace_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write(content: str, then: Exception | None = None) -> None:
        with replacing(path) as partial:
            partial.write_text(content)
            if then:
                raise then

    with pytest.raises(CannotWrite, match=r"file cannot be written \(No space left"):
        write("half", OSError(28, "No space left on device"))
    with pytest.raises(KeyboardInterrupt):
        write("half", KeyboardInterrupt())  # type: ignore[arg-type]
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "old"
    write("new")
    assert path.read_text() == "new"
