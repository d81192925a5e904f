"""What is lost when values are kept in single precision: 24 bits, or seven digits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_VISIBLE = 0.01
"""Change that counts, as a share of the step between two whole numbers of the file."""
_AT_ONCE = 1 << 15


@dataclass(frozen=True, slots=True)
class Rounding:
    """Values that single precision could not keep.

    Attributes:
        voxels: How many of them.
        largest: The largest change of one of them.
    """

    voxels: int = 0
    largest: float = 0.0

    def __add__(self, other: Rounding) -> Rounding:
        return Rounding(self.voxels + other.voxels, max(self.largest, other.largest))

    @classmethod
    def of(
        cls,
        exact: npt.NDArray[Any],
        kept: npt.NDArray[Any],
        stored: np.dtype[Any],
        slope: float = 1.0,
    ) -> Rounding:
        """Compare values before and after.

        Args:
            exact: Values of any shape.
            kept: The same as they are kept. Infinite ones and NaN do not count.
            stored: The type that the file stores them in.
            slope: What it scales them by.
        """
        if kept.dtype.kind != "f" or stored in (np.float16, np.float32):
            return cls()
        least = abs(slope) * _VISIBLE if stored.kind in "iu" else 0.0
        found = cls()
        # Some at a time, so that memory stays small beside the scan; in a type that holds 64-bit
        # integers, which float64 does not.
        with np.nditer(
            [exact, kept],
            flags=["external_loop", "buffered", "zerosize_ok"],
            op_dtypes=[np.longdouble, np.longdouble],
            casting="same_kind",
            buffersize=_AT_ONCE,
        ) as parts:
            for before, after in parts:
                with np.errstate(invalid="ignore"):
                    change = np.abs(after - before)
                changed = np.isfinite(change) & (change > least)
                largest = float(change.max(where=changed, initial=0.0))
                found += cls(int(np.count_nonzero(changed)), largest)
        return found

    @property
    def notices(self) -> list[str]:
        """One sentence for the person, if anything was rounded."""
        if self.voxels == 0:
            return []
        return [
            f"Values are kept in single precision (seven digits): {self.voxels:,} of them were "
            f"rounded, by {self.largest:.2g} at most."
        ]
