"""Kinds of values that configs are made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A part of a config: no unknown key, and every number finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _smaller_first(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the smaller comes first, then the larger; {pair[0]} is above {pair[1]}")
    return pair


Share = Annotated[float, Field(ge=0, le=1)]
Clicks = Annotated[int, Field(ge=0, le=1000)]
Count = Annotated[int, Field(ge=1, le=100)]
Scale = Annotated[float, Field(ge=0.1, le=10)]
Extent = Annotated[float, Field(gt=0, le=1000)]
CropSize = Annotated[int, Field(ge=1, le=512)]
ScanSize = Annotated[int, Field(ge=1, le=2048)]
LabelValue = Annotated[int, Field(ge=1)]

ClicksRange = Annotated[tuple[Clicks, Clicks], AfterValidator(_smaller_first)]
CountRange = Annotated[tuple[Count, Count], AfterValidator(_smaller_first)]
ScaleRange = Annotated[tuple[Scale, Scale], AfterValidator(_smaller_first)]
ExtentRange = Annotated[tuple[Extent, Extent], AfterValidator(_smaller_first)]
