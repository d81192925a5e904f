"""Which results may stand side by side."""

from __future__ import annotations

from caiseg.errors import InvalidInput
from train.comparison.method_results import MethodResults


def check_comparable(first: MethodResults, other: MethodResults) -> None:
    """Refuse results of other clicks, other cases or other files.

    A case that one of the methods failed on belongs to the cases of both. Where the evaluated
    cases differ by failures, the hashes over all files do too; the lesion volumes of the common
    cases then tell whether the files are the same.

    Raises:
        InvalidInput: The results cannot be compared; the sentence says which and why.
    """
    ours, theirs = first.summary.settings.model_dump(), other.summary.settings.model_dump()
    for key, value in ours.items():
        if theirs[key] != value:
            raise InvalidInput(
                f"{first.label} and {other.label} were evaluated by different protocols "
                f"({key}: {value} and {theirs[key]}); evaluate one of them again."
            )
    asked = [
        set(method.cases) | {item.case for item in method.summary.failed}
        for method in (first, other)
    ]
    if odd := sorted(asked[0] ^ asked[1]):
        has, lacks = (first, other) if odd[0] in asked[0] else (other, first)
        raise InvalidInput(
            f"{first.label} and {other.label} were evaluated on different cases: {lacks.label} "
            f"lacks {odd[0]}, which {has.label} has"
            + (f", and {len(odd) - 1} more differ" if len(odd) > 1 else "")
            + "; evaluate both on one split of one manifest."
        )
    if other.cases == first.cases:
        same = first.summary.data.content_hash == other.summary.data.content_hash
    else:
        volumes, theirs_ml = first.lesion_ml, other.lesion_ml
        same = all(volumes[case] == theirs_ml[case] for case in volumes.keys() & theirs_ml.keys())
    if not same:
        raise InvalidInput(
            f"{first.label} and {other.label} were evaluated on scans or masks with other content "
            "under the same names; evaluate both on the same files."
        )
