"""The pictures in the documents are those that ``make screenshots`` takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from app.server import RunningApp
from tests.screenshots import IMAGES, take

_REFERENCE = re.compile(r"""(?:!\[[^]]*]\(|<img[^>]*\ssrc=")([^)"]+)""")


def pictures_of(document: Path) -> set[Path]:
    """The image files that a Markdown document shows."""
    found = _REFERENCE.findall(document.read_text("utf-8"))
    return {(document.parent / name).resolve() for name in found if "://" not in name}


@pytest.fixture(scope="module")
def shown(repository: Path) -> set[Path]:
    documents = [repository / "README.md", *(repository / "docs").glob("*.md")]
    return set().union(*map(pictures_of, documents))


def test_every_picture_that_is_shown_exists(shown: set[Path]) -> None:
    assert [path for path in shown if not path.is_file()] == []


@pytest.mark.browser
@pytest.mark.slow
def test_each_picture_of_the_app_is_taken_and_shown(
    browser: Browser, running: RunningApp, shown: set[Path], tmp_path: Path
) -> None:
    take(browser, running.url, tmp_path, surface=False)
    taken = {path.name for path in tmp_path.iterdir()}
    assert taken == {path.name for path in shown if path.parent == IMAGES}
    assert taken == {path.name for path in IMAGES.iterdir()}, "each is kept, and no other"
