"""Results as data frames: named columns of tensors, one row each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from edgerift.errors import MissingRuntimeError

if TYPE_CHECKING:
    from pandas import DataFrame


def data_frame(columns: Mapping[str, Tensor | Sequence[object]]) -> DataFrame:
    """Make a pandas data frame of named columns `[N]`; a number that is None becomes NaN.

    Raises :class:`~edgerift.errors.MissingRuntimeError` where pandas is not installed.

    >>> data_frame({"label": [3, 5], "evasive": [True, False]})
       label  evasive
    0      3     True
    1      5    False
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingRuntimeError(
            f"a data frame needs pandas, which cannot be imported ({error}); install pandas"
        ) from None
    return pandas.DataFrame({name: _column(column) for name, column in columns.items()})


def _column(values: Tensor | Sequence[object]) -> object:
    if isinstance(values, Tensor):
        return values.cpu().numpy()
    return [math.nan if value is None else value for value in values]
