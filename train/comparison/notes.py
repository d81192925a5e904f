"""How to read a comparison, and under which reservations."""

from __future__ import annotations

from train.comparison.comparison import SIGNIFICANT, Comparison
from train.comparison.statistics import CONFIDENCE, RESAMPLES, smallest_p
from train.comparison.tables import case_count

FEW = 5
"""Cases with a difference below which a bootstrap has too little to draw from."""


def method_notes(comparison: Comparison) -> list[str]:
    """How to read the numbers, and under which reservations."""
    cases = len(comparison.cases)
    notes = [
        f"Mean ± standard deviation over {case_count(cases)} (sample standard deviation, divisor "
        f"n − 1){_averaging(comparison)}.",
        "Mean Dice over clicks: the area under Dice against clicks, divided by the clicks.",
        f"NoC@x: clicks until Dice reaches x %, {comparison.protocol.clicks} where it never does; "
        "“failed” is the share of sessions that never do.",
        f"Brackets hold {CONFIDENCE:.0%} confidence intervals of the mean: BCa bootstrap over "
        f"cases, {RESAMPLES} resamples with a fixed seed.".replace("95%", "95 %"),
    ]  # fmt: skip
    if len(comparison.methods) > 1:
        notes.append("Bold: best mean. Underlined: second best.")
        if comparison.tests:
            notes.append(
                f"* differs from {comparison.reference}: two-sided Wilcoxon signed-rank test over "
                f"cases, p < {SIGNIFICANT:g} after Holm's correction for all "
                f"{comparison.tests} tests of this comparison."
            )
    return notes + _reservations(comparison)


def _averaging(comparison: Comparison) -> str:
    """What became of several seeds and several trainings of one method."""
    trained = [
        f"{method.label} was trained {method.trainings} times"
        for method in comparison.methods
        if method.trainings > 1
    ]
    seeds, text = comparison.protocol.seeds, ""
    if seeds > 1:
        text = f", each case averaged over its {seeds} seeds first"
    if trained:
        text += f"; {', '.join(trained)}, each case averaged over the trainings"
    if not text:
        return ""
    means = "trainings' means, where there are several" if trained else "seeds' means"
    return f"{text}; “seeds ±” is the standard deviation of the {means}"


def _reservations(comparison: Comparison) -> list[str]:
    notes = [f"{label} is not compared: {why}" for label, why in comparison.absent.items()]
    cases = len(comparison.cases)
    if cases == 1:
        notes.append("One case alone has no spread, and nothing can be tested on it.")
    elif comparison.tests and smallest_p(cases) >= SIGNIFICANT:
        notes.append(
            f"{cases} cases cannot show a significant difference, however large it is: the "
            f"smallest p of the test is {smallest_p(cases):.3g}."
        )
    if cases >= FEW and (few := _few_differ(comparison)):
        notes.append(
            f"Fewer than {FEW} cases differ in {few}: limits of the bootstrap are unstable there."
        )
    if comparison.patients < cases:
        notes.append(
            f"The {cases} cases come from {comparison.patients} patients; intervals and tests take "
            "cases for independent, so they look surer than they are."
        )
    if cases < comparison.attempted:
        notes.append(
            f"{comparison.attempted - cases} of {comparison.attempted} cases are left out for all "
            "methods because one of them failed on it:"
        )
        notes += [
            f"{label} failed on {case}: {reason}"
            for label, failed in comparison.left_out.items()
            for case, reason in failed.items()
        ]
    return notes


def _few_differ(comparison: Comparison) -> str:
    """Tested measures with fewer than :data:`FEW` unequal pairs, by method."""
    measures = [item for table in comparison.tables if table.tested for item in table.measures]
    named = []
    for label in comparison.labels[1:]:
        tests = [(measure.name, comparison.cells[label, measure.key].test) for measure in measures]
        found = [
            f"{name} ({test.unequal})"
            for name, test in tests
            if test is not None and 0 < test.unequal < FEW
        ]
        if found:
            named.append(f"{label}: {', '.join(found)}")
    return "; ".join(named)
