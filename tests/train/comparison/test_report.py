"""The command, from result folders to a report that a browser opens without a network."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from caiseg import Click, InvalidInput, Label
from tests.browser import TIMEOUT_MS, open_browser
from tests.networks import write_small_checkpoint
from tests.train.command_line import run_train
from tests.train.comparison.made_up_results import curves, write_folder
from tests.train.scripted import write_case
from train.comparison.compare import CompareOptions, compare, named_folders, named_method
from train.comparison.gallery import clicks_of, telling_cases
from train.comparison.gathered import ResultFolders
from train.comparison.method_results import read_method_results
from train.drawing.slices import draw_slice, grey, view_of
from train.drawing.static_figure import find_browser
from train.manifest import write_manifest


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path, status: int = 0) -> None:
    words = ("compare", *arguments, "--threads", "1", "--device", "cpu", "--workers", "0")
    run_train(monkeypatch, *words, status=status)


def test_the_numbers_are_written_for_people_and_for_programs(tmp_path: Path) -> None:
    folders = [
        write_folder(tmp_path / name, name, curves(seed), sha256="abc" * 20)
        for seed, name in enumerate(("caiseg", "ritm3d"))
    ]
    out = tmp_path / "out"
    comparison = compare(CompareOptions([ResultFolders([folder]) for folder in folders], out))
    compact = json.loads((out / "comparison.json").read_text())
    for label in comparison.labels:
        expected = comparison.cells[label, "dice_after_5"].spread.mean
        kept = compact["methods"][label]
        assert kept["measures"]["dice_after_5"]["mean"] == pytest.approx(expected, abs=1e-6)
        assert kept["dice_by_clicks"]["mean"][-1] == pytest.approx(expected, abs=1e-6)
        assert kept["weights"][0]["sha256"] == "abc" * 20
    with (out / "comparison.csv").open(newline="") as stream:
        rows = {(row["method"], row["measure"]): row for row in csv.DictReader(stream)}
    found = comparison.cells["ritm3d", "noc_85"]
    assert float(rows["ritm3d", "noc_85"]["failure_rate"]) == found.failure_rate
    assert float(rows["ritm3d", "noc_85"]["p_holm"]) == pytest.approx(found.p_holm)
    assert rows["caiseg", "noc_85"]["p"] == ""
    with (out / "cases.csv").open(newline="") as stream:
        cases = list(csv.DictReader(stream))
    assert len(cases) == 2 * 8
    values = [float(row["dice_after_5"]) for row in cases if row["method"] == "ritm3d"]
    assert np.mean(values) == pytest.approx(
        compact["methods"]["ritm3d"]["dice_by_clicks"]["mean"][-1]
    )
    text = (out / "comparison.md").read_text()
    best = max(comparison.labels, key=lambda label: comparison.curves[label].mean[-1])
    assert re.search(
        rf"^\| {best} \| \*\*{100 * comparison.curves[best].mean[-1]:.1f} ±", text, re.M
    )


def open_page(page: Page, path: Path) -> tuple[list[str], list[str]]:
    """Open a file; the addresses it asked for, and what it complained of."""
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.goto(path.as_uri())
    return requests, complaints


@pytest.mark.browser
def test_the_report_opens_without_a_network_and_draws_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chromium: Path
) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors", patch_size=(16, 16, 16))
    cases = [write_case(tmp_path, name, seed=seed) for seed, name in enumerate(("one", "two"))]
    write_manifest(tmp_path / "cases.csv", cases)
    out, figure = tmp_path / "out", tmp_path / "dice.png"
    monkeypatch.setenv("CHROMIUM", str(chromium))
    run_command(
        monkeypatch, "--out", out, "--manifest", tmp_path / "cases.csv", "--clicks", "2",
        "--method", f"caiseg={checkpoint}", "--method", "ritm3d", "--figure", figure,
    )  # fmt: skip
    assert "ritm3d is not compared: The method ritm3d needs weights" in (
        out / "report.html"
    ).read_text("utf-8")
    run_command(
        monkeypatch, f"again={out / 'evaluations' / 'caiseg'}", "--out", out, "--clicks", "2",
        "--manifest", tmp_path / "cases.csv", "--method", f"caiseg={checkpoint}",
    )  # fmt: skip
    report = out / "report.html"
    assert report.read_text("utf-8").count("plotly.js v") == 1
    with open_browser(chromium) as browser:
        for size, scheme in (((1400, 900), "light"), ((390, 844), "dark")):
            context = browser.new_context(
                viewport={"width": size[0], "height": size[1]},
                color_scheme=scheme,  # type: ignore[arg-type]
                offline=True,
            )
            page = context.new_page()
            page.set_default_timeout(3 * TIMEOUT_MS)
            requests, complaints = open_page(page, report)
            page.wait_for_selector("html[data-drawn]")
            assert complaints == []
            assert [url for url in requests if not url.startswith("data:")] == [report.as_uri()]
            for name in ("dice-by-clicks", "cases-done", "differences"):
                drawn = page.locator(f"[data-figure={name}] .main-svg").first
                assert drawn.bounding_box()["width"] > 200  # type: ignore[index]
            assert page.evaluate("document.documentElement.scrollWidth") == size[0]
            widths = page.eval_on_selector_all(
                ".panels svg", "all => all.map((one) => one.getBoundingClientRect().width)"
            )
            assert len(widths) == 2 * 2
            assert min(widths) > 100
            assert page.locator(".panels path").count() == 2 * 2 * 2
            context.close()
    with Image.open(figure) as picture:
        assert picture.size == (1800, 960)
        assert len(picture.convert("RGB").getcolors(1 << 24) or ()) > 10


def test_a_mistake_on_the_command_line_ends_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_command(monkeypatch, tmp_path / "nothing", "--out", tmp_path / "out", status=2)
    assert "holds no summary.json and results.csv" in capsys.readouterr().err
    run_command(monkeypatch, "--out", tmp_path / "out", status=2)
    assert "There is nothing to compare" in capsys.readouterr().err
    run_command(monkeypatch, "--method", "vnet", "--out", tmp_path / "out", status=2)
    assert "There are no results of vnet; name the manifest" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_another_checkpoint_than_the_evaluated_one_draws_nothing(tmp_path: Path) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors", patch_size=(16, 16, 16))
    case = write_case(tmp_path)
    write_manifest(tmp_path / "cases.csv", [case])
    results = write_folder(tmp_path / "caiseg", "caiseg", {"one": [[0.9, 0.95, 0.97]]})
    options = CompareOptions(
        [ResultFolders([results])], tmp_path / "out", methods={"caiseg": checkpoint},
        manifest=tmp_path / "cases.csv", device="cpu",
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="does not give the masks of its results"):
        compare(options)


def test_a_manifest_without_the_case_is_refused(tmp_path: Path) -> None:
    checkpoint = write_small_checkpoint(tmp_path / "small.safetensors")
    write_manifest(tmp_path / "cases.csv", [write_case(tmp_path, "other")])
    results = write_folder(tmp_path / "caiseg", "caiseg", curves(0))
    options = CompareOptions(
        [ResultFolders([results])], tmp_path / "out", methods={"caiseg": checkpoint},
        manifest=tmp_path / "cases.csv", device="cpu",
    )  # fmt: skip
    with pytest.raises(InvalidInput, match="does not list the case"):
        compare(options)


def test_the_best_the_median_and_the_worst_case_are_each_another_one(tmp_path: Path) -> None:
    dice = {"a": 0.9, "b": 0.5, "c": 0.8, "d": 0.6}
    rows = {case: [[0.1, value]] for case, value in dice.items()}
    folder = write_folder(tmp_path / "four", "caiseg", rows)
    comparison = compare(CompareOptions([ResultFolders([folder])], tmp_path / "out"))
    assert telling_cases(comparison) == {"Best case": "a", "Median case": "d", "Worst case": "b"}
    folder = write_folder(tmp_path / "two", "caiseg", {"a": rows["a"], "b": rows["b"]})
    comparison = compare(CompareOptions([ResultFolders([folder])], tmp_path / "out"))
    assert telling_cases(comparison) == {"Best case": "a", "Worst case": "b"}
    folder = write_folder(tmp_path / "one", "caiseg", {"a": rows["a"]})
    comparison = compare(CompareOptions([ResultFolders([folder])], tmp_path / "out"))
    assert telling_cases(comparison) == {"Best case": "a"}


def test_recorded_clicks_are_read_in_time_order(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, "caiseg", curves(0, clicks=2))
    session = read_method_results(folder).sessions["case0", 0]
    assert clicks_of(session) == [Click((3, 4, 2), Label.FOREGROUND)] * 2


def test_a_slice_lies_in_the_best_plane_and_shows_left_on_the_right() -> None:
    mask = np.zeros((40, 30, 20), dtype=bool)
    mask[5:9, 10:14, 7] = True
    view = view_of([mask], (3.0, 3.0, 6.0))
    assert (view.axis, view.index) == (2, 7)
    assert view_of([mask], (6.0, 3.0, 3.0)).axis == 0
    x_left, y_back = view.on_screen(view.spans[0][1] - 1, view.spans[1][0])
    _, height = view.size_mm
    assert (x_left, y_back) == (1.5, height - 1.5)
    image = np.random.default_rng(0).normal(size=mask.shape)
    svg = draw_slice(
        view, grey(view.cut(image)), label="a <case>", truth=mask,
        clicks=[Click((6, 11, 7), Label.FOREGROUND), Click((8, 12, 3), Label.BACKGROUND)],
    )  # fmt: skip
    assert "a &lt;case&gt;" in svg
    x, y = view.on_screen(6, 11)
    assert f'<circle cx="{x:.2f}" cy="{y:.2f}"' in svg
    assert svg.count(">1</text>") == 1
    assert ">2</text>" not in svg
    assert 'fill="none" stroke="#56b4e9"' in svg
    numbers = [float(n) for n in re.findall(r"[\d.]+", re.findall(r'd="([^"]*)"', svg)[0])]
    xs = numbers[0::2]
    left, right = view.on_screen(8.5, 10)[0], view.on_screen(4.5, 10)[0]
    assert [min(xs), max(xs)] == pytest.approx([left, right])


def test_a_scan_without_lesion_has_a_view_too() -> None:
    view = view_of([np.zeros((10, 12, 8), dtype=bool)], (1.0, 1.0, 1.0))
    assert view.spans == ((0, 10), (0, 12))


def test_folders_and_methods_are_named_on_the_command_line() -> None:
    assert named_folders("runs/a") == ResultFolders([Path("runs/a")])
    assert named_folders("large=runs/a") == ResultFolders([Path("runs/a")], "large")
    assert named_folders("large=a,b") == ResultFolders([Path("a"), Path("b")], "large")
    assert named_method("random_walker") == ("random_walker", None)
    assert named_method("caiseg=c.safetensors") == ("caiseg", Path("c.safetensors"))


def test_a_missing_browser_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CHROMIUM", "")
    with pytest.raises(InvalidInput, match="needs Chromium or Chrome"):
        find_browser()


def test_a_figure_of_another_kind_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "results", "caiseg", curves(0))
    options = CompareOptions(
        [ResultFolders([folder])], tmp_path / "out", figure=tmp_path / "dice.pdf"
    )
    with pytest.raises(InvalidInput, match=r"neither .png nor .svg"):
        compare(options)
