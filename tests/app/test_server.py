"""What the server sends, and what it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.server import RunningApp
from app.viewer import PLOTLY, head, script


@pytest.fixture(scope="module")
def client(running: RunningApp) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=running.url) as opened:
        yield opened


@pytest.mark.parametrize("path", ["", "gradio_api/info", "nothing-here"])
def test_every_answer_forbids_other_hosts(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "http" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", [__file__, "/etc/passwd", "app.py", "../app.py"])
def test_files_outside_the_cache_are_not_served(client: httpx.Client, path: str) -> None:
    assert client.get(f"gradio_api/file={path}").status_code in (403, 404)


def test_plotly_is_served_from_its_package(client: httpx.Client) -> None:
    answer = client.get(f"gradio_api/file={PLOTLY}")
    assert answer.status_code == 200
    assert "plotly.js" in answer.text[:200]


def test_the_page_loads_nothing_from_elsewhere_and_keeps_no_history(client: httpx.Client) -> None:
    config = client.get("config").json()
    assert config["analytics_enabled"] is False
    assert config["run_history"] is False
    assert not re.search(r"(src|href)=.https?://", head())
    assert [sheet for sheet in config["stylesheets"] if "//" in sheet] == []


def test_only_the_steps_for_programs_are_open_endpoints(client: httpx.Client) -> None:
    named = client.get("gradio_api/info").json()["named_endpoints"]
    assert set(named) == {"/load", "/click", "/undo", "/result", "/download"}


def test_the_component_that_gradio_copies_at_every_event_holds_a_call_and_its_events(
    client: httpx.Client,
) -> None:
    components = client.get("config").json()["components"]
    (viewer,) = (part["props"] for part in components if part["props"].get("elem_id") == "viewer")
    assert viewer["html_template"] == viewer["css_template"] == ""
    # What else it quoted would be an event, and no property any more.
    quoted = re.findall(r"""['"`](\w+)['"`]""", viewer["js_on_load"])
    assert set(quoted) == {"open", "cancel", "act", "measure", "chart", "save"}


def test_nothing_in_the_viewer_s_script_ends_it_early() -> None:
    assert head().count("<script>") == head().count("</script") == 1


def test_every_script_and_style_is_part_of_the_page(repository: Path) -> None:
    folder = repository / "app" / "viewer"
    for file in folder.glob("scripts/*.js"):
        assert file.read_text("utf-8") in script()
    for file in folder.glob("styles/*.css"):
        assert file.read_text("utf-8") in head()
