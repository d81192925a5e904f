"""Whether one case can be trained on, and what it is like."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from caiseg.errors import InvalidInput
from train.config import ExperimentConfig
from train.files import CannotWrite
from train.manifest import Case
from train.prepared import prepare_case


@dataclass(frozen=True)
class Finding:
    """What came out of examining a case.

    Attributes:
        case: The case.
        refusal: Why it cannot be used; empty where it can.
        shape: Size ``(i, j, k)`` on the model grid, in voxels.
        lesion_ml: Volume of the lesion on that grid.
        notices: Reservations under which it is used.
        scan_hash: Equal for scans with the same voxels in the same place.
    """

    case: Case
    refusal: str = ""
    shape: tuple[int, int, int] = (0, 0, 0)
    lesion_ml: float = 0.0
    notices: tuple[str, ...] = ()
    scan_hash: str = ""


@dataclass(frozen=True)
class Examiner:
    """Prepares cases into a cache; callable in another process.

    Attributes:
        config: Preprocessing, labels and channel.
        cache: Folder of prepared cases.
    """

    config: ExperimentConfig
    cache: Path

    def __call__(self, case: Case) -> Finding:
        """Prepare a case, or find out why that cannot be.

        Raises:
            CannotWrite: The cache cannot be written, which is no fault of the case.
        """
        try:
            prepared = prepare_case(case, self.config.preprocessing, self.config.data, self.cache)
        except CannotWrite:
            raise
        except InvalidInput as error:
            return Finding(case, refusal=str(error).removeprefix(f"Case {case.name}: "))
        i, j, k = prepared.image.shape
        voxel_ml = float(prepared.spacing.prod()) / 1000
        return Finding(
            case,
            shape=(i, j, k),
            lesion_ml=int(prepared.lesion.count_nonzero()) * voxel_ml,
            notices=prepared.notices,
            scan_hash=prepared.scan_hash,
        )


def refuse_repeated_scans(findings: list[Finding]) -> list[Finding]:
    """Refuse a scan that was already found under the name of another patient.

    The same person in two splits would make validation and test a matter of memory.
    """
    first: dict[str, Case] = {}
    checked = []
    for finding in findings:
        case = finding.case
        if not finding.refusal:
            other = first.setdefault(finding.scan_hash, case)
            if other.patient != case.patient:
                finding = Finding(
                    case,
                    refusal=f"{case.image} is the scan of the case {other.name} again, under "
                    f"another patient; name the patient {other.patient} in both, or leave one out.",
                )
        checked.append(finding)
    return checked
