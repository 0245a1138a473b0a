"""How sure a figure is, everywhere: the level of all intervals, and Wilson's interval of a share."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import numpy.typing as npt

__all__ = ["LEVEL", "Z", "wilson"]

#: Every interval holds the true figure in 80 % of cases: P10 to P90.
LEVEL = 0.80
#: Standard deviations from the middle of a normal law to either end of such an interval.
Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)

Floats = npt.NDArray[np.float64]


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Share with Wilson's interval at :data:`LEVEL`, elementwise; NaN where n is 0.

    Args:
        successes: how often it happened, any shape.
        n: out of how many; need not be whole numbers.

    Returns:
        share, low and high, in the shape of the arguments.

    >>> [part.round(3).tolist() for part in wilson([20.0], [100.0])]
    [[0.2], [0.154], [0.256]]
    """
    counted, size = np.asarray(successes, dtype=np.float64), np.asarray(n, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = counted / size
        centre = (share + Z**2 / (2 * size)) / (1 + Z**2 / size)
        half = Z / (1 + Z**2 / size) * np.sqrt(share * (1 - share) / size + Z**2 / (4 * size**2))
    # rounding must not put a share of 0 or 1 outside its own interval
    return (
        np.asarray(share),
        np.asarray(np.minimum(np.maximum(centre - half, 0), share)),
        np.asarray(np.maximum(np.minimum(centre + half, 1), share)),
    )
