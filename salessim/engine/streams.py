"""Named streams of random numbers: the only source of chance in the program.

A stream is named by the seed and what it is for, such as ``(seed, "wins", rep, quarter)``. The same name
gives the same numbers on any machine, for any number of trials, chunks or workers; and because every rep
has streams of its own, hiring one more leaves the luck of all others as it was.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator"]


def generator(seed: int, *name: object) -> np.random.Generator:
    """Open the stream with this name (Philox, keyed by a hash of seed and name).

    >>> generator(7, "wins", "Rep 1").random() == generator(7, "wins", "Rep 1").random()
    True
    >>> generator(7, "wins", "Rep 1").random() == generator(7, "wins", "Rep 2").random()
    False
    """
    text = "\x1f".join(str(part) for part in (seed, *name))
    key = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=16).digest(), "little")
    return np.random.Generator(np.random.Philox(key=key))
