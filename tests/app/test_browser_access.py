"""The app by keyboard and by screen reader, and on small screens."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from app.server import RunningApp
from tests.app.conftest import check_behaviour
from tests.browser import Person, Voxel, person_at

pytestmark = pytest.mark.browser

SHAPE: Voxel = (24, 30, 10)
OUTSIDE: Voxel = (4, 25, 4)

CONTROLS = "button, select, input, textarea, summary, a[href], section[tabindex], [role=tabpanel]"


@pytest.fixture(scope="module")
def surface() -> bool:
    """Drawn without a GPU it would take most of this module's time."""
    return False


def test_every_control_is_reached_by_the_tab_key_and_shows_it(person: Person) -> None:
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_root("details", 2)
    person.page.evaluate("() => document.activeElement.blur()")
    expected = person.page.evaluate(
        """controls => {
          const reachable = [...document.querySelectorAll(".cs :is(" + controls + ")")]
            .filter((el) => el.checkVisibility({ visibilityProperty: true }))
            .filter((el) => !el.disabled && el.tabIndex >= 0);
          reachable.forEach((el, place) => { el.dataset.place = place; });
          return reachable.length;
        }""",
        CONTROLS,
    )
    reached, unseen = set(), []
    for _ in range(expected + 5):
        person.page.keyboard.press("Tab")
        place, name, outline = person.page.evaluate(
            """() => {
              const el = document.activeElement;
              const { outlineStyle, outlineWidth } = getComputedStyle(el);
              return [el.dataset.place ?? "", el.outerHTML.slice(0, 90),
                      outlineStyle === "none" ? 0 : parseFloat(outlineWidth)];
            }"""
        )
        reached.add(place)
        if place and outline < 1:
            unseen.append(name)
    assert {str(number) for number in range(expected)} <= reached
    assert unseen == []


def test_every_control_has_a_name_and_says_what_it_is_for(person: Person) -> None:
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    person.expect_root("details", 2)
    for tab in person.page.locator("[role=tab]").all():
        tab.click()
        unnamed = person.page.evaluate(
            """controls => [...document.querySelectorAll(".cs :is(" + controls + ")")]
              .filter((el) => el.checkVisibility({ visibilityProperty: true }))
              .filter((el) => !(el.getAttribute("aria-label") || el.innerText?.trim()
                                || [...(el.labels ?? [])].some((label) => label.innerText.trim()))
                        || (el.matches("button, select") && !el.closest("[title]")))
              .map((el) => el.outerHTML.slice(0, 120))""",
            CONTROLS,
        )
        assert unnamed == []
    person.page.locator("[role=tab]").first.click()


def test_the_colour_of_an_object_gives_the_keys_back_to_the_views(person: Person) -> None:
    person.page.locator("[data-object='1'] [data-part=colour]").fill("#112233")
    person.page.keyboard.press("b")
    person.expect_root("label", "bg")


def test_tabs_are_moved_through_by_arrow_keys(person: Person) -> None:
    tabs = person.page.locator("[role=tab]")
    tabs.first.focus()
    for place in [*range(1, tabs.count()), 0]:
        person.page.keyboard.press("ArrowRight")
        expect(tabs.nth(place)).to_be_focused()
        expect(tabs.nth(place)).to_have_attribute("aria-selected", "true")
        shown = person.page.locator("[role=tabpanel]:visible")
        expect(shown).to_have_count(1)


def keys_on_the_sheet(person: Person) -> list[tuple[str, str]]:
    """What the sheet lists: the ``key`` of a keyboard event after its modifiers, and its face."""
    faces = person.page.locator("[data-role=help-sheet] kbd").all_text_contents()
    names = {"Esc": "Escape", "←": "ArrowLeft", "→": "ArrowRight", "↑": "ArrowUp", "↓": "ArrowDown"}
    names |= {"Page ↑": "PageUp", "Page ↓": "PageDown", "−": "-"}
    return [
        (
            "+" if face == "+" else "+".join(names.get(part, part) for part in face.split(" + ")),
            face,
        )
        for face in faces
    ]


def test_the_keyboard_answers_to_every_key_on_the_sheet_and_harms_nothing(
    newcomer: Person,
) -> None:
    keys = [key for key, _ in keys_on_the_sheet(newcomer)]
    assert {"F", "B", "Ctrl+Z", "M", "H", "L", "1", "PageUp", "Shift+ArrowUp", "?"} <= set(keys)
    assert len(keys) == len(set(keys)), "no key has two meanings"
    ignored = newcomer.page.evaluate(
        """keys => keys.filter((key) => {
          const parts = key === "+" ? ["+"] : key.split("+");
          const view = document.querySelector(".cs-view");
          const options = { key: parts.at(-1), ctrlKey: parts.includes("Ctrl"),
            shiftKey: parts.includes("Shift"), bubbles: true, cancelable: true };
          const taken = !view.dispatchEvent(new KeyboardEvent("keydown", options));
          view.dispatchEvent(new KeyboardEvent("keyup", options));
          document.querySelector("dialog[open]")?.close();
          return !taken;
        })""",
        [key for key in keys if key != "Ctrl+O"],
    )
    assert ignored == []


def test_tooltips_name_the_keys_and_the_sheet_has_them_all(person: Person) -> None:
    controls = person.page.locator(".cs [aria-keyshortcuts]")
    assert controls.count() > 15
    faces = {key.replace("Ctrl", "Control"): face for key, face in keys_on_the_sheet(person)}
    for control in controls.all():
        keys = (control.get_attribute("aria-keyshortcuts") or "").split()
        title = control.get_attribute("title") or ""
        assert title.endswith("(" + ", ".join(faces[key] for key in keys) + ")")


def test_what_the_keyboard_moves_is_spoken(person: Person) -> None:
    person.go_to_slice("axial", 4)
    person.page.locator("section[data-plane=axial]").focus()
    person.page.keyboard.press("PageUp")
    spoken = person.role("spoken")
    expect(spoken).to_have_attribute("aria-live", "polite")
    expect(spoken).to_contain_text("Axial slice 5")
    place = person.state("pos").replace(",", ", ")
    intensity = person.role("intensity").inner_text()
    expect(spoken).to_have_text(f"Axial slice 5, voxel {place}, intensity {intensity}")


def test_text_stands_out_in_both_themes(person: Person) -> None:
    person.click_voxel("axial", OUTSIDE, SHAPE)
    person.expect_clicks(1)
    for _ in range(2):
        person.page.mouse.move(5, 5)
        pale = person.page.evaluate(
            """() => {
              const channels = (colour) => (colour.match(/[0-9.]+/g) ?? []).map(Number);
              const luminance = ([r, g, b]) => [r, g, b]
                .map((value) => value / 255)
                .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
                .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
              const behind = (el) => {
                for (let at = el; at; at = at.parentElement) {
                  const [r, g, b, a = 1] = channels(getComputedStyle(at).backgroundColor);
                  if (a === 1) return [r, g, b];
                }
                return [0, 0, 0];
              };
              const root = document.querySelector(".cs");
              const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
              const found = [];
              while (texts.nextNode()) {
                const el = texts.currentNode.parentElement;
                const words = texts.currentNode.data.trim();
                if (!words || el.closest(":disabled, option, .cs-plot")) continue;
                if (!el.checkVisibility({ visibilityProperty: true })) continue;
                const ink = luminance(channels(getComputedStyle(el).color));
                const paper = luminance(behind(el));
                const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
                if (ratio < 4.5) found.push(words + " " + ratio.toFixed(2));
              }
              return found;
            }"""
        )
        assert pale == []
        person.role("theme").click()


@pytest.mark.parametrize("size", [(1400, 900), (1024, 700), (820, 1180), (390, 844)], ids=str)
def test_the_views_are_large_and_the_tools_within_reach(
    browser: Browser, running: RunningApp, blob: Path, size: tuple[int, int]
) -> None:
    with person_at(
        browser, running.url, size=size, touch=size[0] < 1000, surface=False
    ) as somebody:
        somebody.open_file(blob)
        width, height = size
        box = somebody.role("views").bounding_box()
        assert box is not None
        assert box["width"] * box["height"] > 0.45 * width * height
        cut_off = somebody.page.evaluate(
            """() => [...document.querySelectorAll(".cs-bar :is(button, select), .cs-views")]
              .filter((el) => el.checkVisibility({ visibilityProperty: true }))
              .filter((el) => { const box = el.getBoundingClientRect();
                return box.left < 0 || box.right > innerWidth + 0.5 || box.top < 0; })
              .map((el) => el.outerHTML.slice(0, 90))"""
        )
        assert cut_off == []
        squeezed = somebody.page.evaluate(
            """() => [...document.querySelectorAll(".cs-bar button, .cs-stack button")]
              .filter((el) => el.checkVisibility({ visibilityProperty: true }))
              .filter((el) => el.scrollWidth > el.clientWidth || el.offsetWidth < 26)
              .map((el) => el.outerHTML.slice(0, 90))"""
        )
        assert squeezed == []
        somebody.role("save").scroll_into_view_if_needed()
        expect(somebody.role("save")).to_be_in_viewport()
        check_behaviour(somebody)


def test_nothing_needs_scrolling_on_a_wide_screen(person: Person) -> None:
    hidden = person.page.locator(".cs-panel").evaluate("el => el.scrollHeight - el.clientHeight")
    assert hidden == 0
    expect(person.role("save")).to_be_in_viewport(ratio=1)
