"""A browser that is told to keep nothing: the page works on without its storage."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from app.server import RunningApp
from tests.app.conftest import check_behaviour
from tests.browser import Person, Voxel

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
OUTSIDE: Voxel = (4, 25, 8)

# As Chromium does when cookies and site data are blocked.
BLOCKED = """
Object.defineProperty(window, "localStorage", {
  get() { throw new DOMException("Access is denied for this document.", "SecurityError"); },
});
"""


def test_where_nothing_may_be_kept_scans_are_annotated_all_the_same(
    browser: Browser, running: RunningApp, blob: Path, tmp_path: Path
) -> None:
    context = browser.new_context()
    context.add_init_script(BLOCKED)
    try:
        person = Person(context, running.url)
        person.open_file(blob)
        person.page.keyboard.press("d")
        expect(person.page.locator("html")).to_have_attribute("data-theme", "dark")
        person.click_voxel("axial", OUTSIDE, SHAPE)
        person.expect_clicks(1)
        person.page.locator("[data-tab=files]").click()
        expect(person.role("autosave")).to_contain_text("save the session as a file")
        assert person.download_mask(tmp_path).stat().st_size > 0
        check_behaviour(person)
    finally:
        context.close()
