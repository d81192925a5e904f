"""Variants of a config, trained and compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from caiseg import InvalidInput
from caiseg.checkpoint import read_description
from tests.train.comparison.made_up_results import curves, write_folder
from tests.train.small_experiment import write_experiment, write_manifest
from train.comparison.ablate import AblateOptions, _Run, ablate
from train.comparison.method_results import read_method_results
from train.comparison.studies import FULL, STUDIES, read_studies
from train.comparison.trainings import merged
from train.config import load_config
from train.config_document import CONFIG_FOLDER
from train.evaluation.protocol import EvaluationProtocol


@pytest.mark.parametrize("config", sorted(path.stem for path in CONFIG_FOLDER.glob("*.yaml")))
def test_every_committed_variant_is_a_config_that_differs_from_the_full_model(config: str) -> None:
    full = load_config(config)
    unchanged = {
        variant.label
        for study in read_studies(STUDIES)
        for variant in study.variants[1:]
        if load_config(config, variant.overrides) == full
    }
    # The configs that are the paper's own have no departure to take back.
    assert unchanged <= {
        variant.label for variant in read_studies(STUDIES, ["departures"])[0].variants
    }


def test_the_studies_of_the_paper_are_committed() -> None:
    studies = {study.name: study for study in read_studies(STUDIES)}
    assert list(studies) == [
        "feature_clustering", "deep_supervision", "focus_lambda", "loss", "departures",
    ]  # fmt: skip
    assert all(study.variants[0].label == FULL for study in studies.values())
    folders = [item.folder for study in studies.values() for item in study.variants[1:]]
    assert len(folders) == len(set(folders))


def test_a_study_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no study 'colour'; choose one of feature_clustering"):
        read_studies(STUDIES, ["colour"])


@pytest.mark.parametrize("text", ["loss: [1, 2]", "loss: {variants: {}}", "{", "3"])
def test_a_file_without_studies_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "studies.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInput, match="holds no studies"):
        read_studies(path)


def test_trainings_become_seeds_of_their_cases(tmp_path: Path) -> None:
    first, second = dict(curves(0, cases=3)), dict(curves(1, cases=3))
    del second["case1"]
    results = [
        read_method_results(write_folder(tmp_path / "0", "caiseg", first)),
        read_method_results(
            write_folder(tmp_path / "1", "caiseg", second, failed={"case1": "It is damaged."})
        ),
    ]
    both = merged("one head", results)
    assert (both.label, both.cases, both.seeds) == ("one head", ["case0", "case2"], [0, 1])
    assert [row.dice for row in both.sessions["case2", 0]] == pytest.approx(first["case2"][0])
    assert [row.dice for row in both.sessions["case2", 1]] == pytest.approx(second["case2"][0])
    assert (both.trainings, both.repeats) == (2, [[0], [1]])
    assert [item.case for item in both.summary.failed] == ["case1"]


@pytest.fixture
def options(tmp_path: Path) -> AblateOptions:
    studies = {
        "loss": {"title": "Loss", "variants": {"Dice loss": ["loss.kind=dice"]}},
        "other": {"title": "Other", "variants": {"λ = 0": ["loss.focus_lambda=0"]}},
    }
    (tmp_path / "studies.yaml").write_text(yaml.safe_dump(studies))
    return AblateOptions(
        config=str(write_experiment(tmp_path, schedule={"pretrain_epochs": 0, "epochs": 1})),
        manifest=write_manifest(tmp_path, train=1, val=1), out=tmp_path / "out",
        studies=tmp_path / "studies.yaml", names=["loss"], seeds=1,
        protocol=EvaluationProtocol(clicks=1), accelerator="cpu", workers=0,
    )  # fmt: skip


@pytest.mark.slow
def test_variants_are_trained_and_compared_and_what_is_finished_is_kept(
    options: AblateOptions,
) -> None:
    comparison = ablate(options)["loss"]
    assert comparison.labels == [FULL, "Dice loss"]
    runs = sorted((options.out / "variants").glob("*/*/checkpoint.safetensors"))
    assert [run.parent.relative_to(options.out / "variants").as_posix() for run in runs] == [
        "full/seed0", "loss-1/seed0",
    ]  # fmt: skip
    kinds = [read_description(run).provenance["experiment"]["loss"]["kind"] for run in runs]
    assert kinds == ["focus_guided", "dice"]
    report = (options.out / "report.html").read_text("utf-8")
    assert "loss.kind=dice" in report
    assert "Every variant was trained once" in report
    assert "Best case: case1" in report
    assert report.count("<figcaption>full model, 0 clicks: Dice") == 1
    assert report.count("<figcaption>Dice loss, 1 click: Dice") == 1
    assert (options.out / "loss" / "comparison.csv").is_file()

    written = {run: run.stat().st_mtime_ns for run in runs}
    again = ablate(options)["loss"]
    assert {run: run.stat().st_mtime_ns for run in runs} == written
    assert again.curves == comparison.curves

    with pytest.raises(InvalidInput, match="holds a run of another config"):
        ablate(replace(options, overrides=["schedule.learning_rate=0.01"]))


def test_a_variant_that_cannot_be_trained_is_named_and_the_rest_goes_on(
    options: AblateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_results(run: _Run, _: AblateOptions) -> None:
        if run.config.loss.kind == "dice":
            raise InvalidInput("The loss is not a number.")
        write_folder(run.folder / "evaluation", "caiseg", curves(run.config.seed))

    monkeypatch.setattr(_Run, "train_and_evaluate", write_results)
    comparisons = ablate(replace(options, names=[], seeds=2))
    assert comparisons["loss"].labels == [FULL]
    assert comparisons["other"].labels == [FULL, "λ = 0"]
    assert len(comparisons["other"].methods[1].seeds) == 2
    report = (options.out / "report.html").read_text("utf-8")
    assert "could not be compared: The loss is not a number." in report
    assert "No pictures were drawn" in report
    assert report.count("plotly.js v") == 1


def test_variants_are_judged_on_what_the_config_trains_for(
    options: AblateOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def write_results(run: _Run, options: AblateOptions) -> None:
        asked.append((options.protocol.label_values, options.protocol.channel))
        write_folder(run.folder / "evaluation", "caiseg", curves(run.config.seed))

    monkeypatch.setattr(_Run, "train_and_evaluate", write_results)
    ablate(replace(options, overrides=["data.label_values=[2]", "data.channel=1"]))
    assert set(asked) == {((2,), 1)}
