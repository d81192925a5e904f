"""The one rule that turns a list of clicks into masks, round by round."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from caiseg.clicks import Click
from caiseg.predictor import CAISegPredictor, EncodedScan, SegmentationResult


def replay_clicks(
    predictor: CAISegPredictor, scan: EncodedScan, clicks: Sequence[Click]
) -> Iterator[SegmentationResult]:
    """Answer clicks one by one, each with the mask before it as ``S_p``.

    The app, the command line and the evaluation all proceed like this, so the same clicks in the
    same order give the same mask everywhere.

    Yields:
        The first mask, without clicks, then one result per click.
    """
    result = predictor.segment(scan, [])
    yield result
    for count in range(1, len(clicks) + 1):
        result = predictor.segment(scan, clicks[:count], previous_mask=result.mask)
        yield result
