"""Training without data: every sample is a scan that was never seen before."""

from __future__ import annotations

import numpy as np
import torch

from caiseg.grids import Grid, Reorientation
from caiseg.synthetic import SyntheticScanConfig, generate_scan
from train.config import ExperimentConfig, SyntheticConfig
from train.dataset import SampleKey, StoredCases
from train.prepared import PreparedCase, on_model_grid

_TRAINING, _VALIDATION = 0, 1


class GeneratedCases:
    """Generated scans, another one for every key, made by whoever asks for the sample.

    Nothing is stored, at the price of making each scan, which takes several times as long as
    augmenting it. It follows from seed, epoch, case and repeat alone.

    Args:
        config: The experiment.
        synthetic: Its ``synthetic`` section.
    """

    def __init__(self, config: ExperimentConfig, synthetic: SyntheticConfig):
        self.config = config
        self.synthetic = synthetic

    def __len__(self) -> int:
        """Cases of an epoch."""
        return self.synthetic.cases

    def draw(self, key: SampleKey) -> PreparedCase:
        """The scan of a sample.

        Raises:
            InvalidInput: The section asks for what cannot be made: too many lesions for the head,
                or shapes from a folder without masks.
        """
        numbers = (self.config.seed, _TRAINING, key.epoch, key.case, key.repeat)
        name = f"generated {key.epoch}.{key.case}.{key.repeat}"
        return generate_case(name, self.synthetic.scan, numbers, self.config)


def validation_cases(config: ExperimentConfig, synthetic: SyntheticConfig) -> StoredCases:
    """The scans that a training on generated scans is validated on, the same at every time."""
    return StoredCases(
        generate_case(
            f"generated {number}", synthetic.scan, (config.seed, _VALIDATION, number), config
        )
        for number in range(synthetic.val_cases)
    )


def generate_case(
    name: str, scan: SyntheticScanConfig, numbers: tuple[int, ...], config: ExperimentConfig
) -> PreparedCase:
    """Generate a scan and bring it to the model grid.

    Args:
        name: Name of the case.
        scan: What scans look like.
        numbers: What the scan follows from.
        config: The experiment, for its preprocessing.

    Raises:
        InvalidInput: The scan cannot be made.
    """
    seed = int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
    made = generate_scan(scan, seed)
    i, j, k = made.image.shape
    to_display = Reorientation.to_canonical(Grid((i, j, k), made.affine))
    image, share, spacing = on_model_grid(
        to_display.array_to_display(made.image), to_display.array_to_display(made.lesion),
        to_display.display, config.preprocessing,
    )  # fmt: skip
    # A lesion may be too small for any voxel of the model grid to be half lesion.
    lesion = share >= min(0.5, float(share.max()))
    return PreparedCase(name, image, lesion, torch.tensor(spacing).float())
