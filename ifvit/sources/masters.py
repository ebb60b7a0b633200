"""Synthetic fingers for training: their masters, grown once and kept in the user's cache."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from ifvit.cache import key_of, user_cache
from ifvit.synthesis import Master, make_masters

MASTERS_PER_CALL = 8

GENERATOR = (
    "geometry/arrays.py",
    "geometry/gabor.py",
    *("synthesis/orientation.py", "synthesis/ridges.py", "synthesis/master.py"),
)
"""The files of ``ifvit`` that decide what a master looks like."""

VALIDATION_FINGERS = 1_000_000
TEST_FINGERS = 2_000_000
"""First numbers of the validation fingers and of the test fingers, far from training fingers."""


def grow_masters(seed: int, fingers: np.ndarray, progress=lambda calls: calls) -> Master:
    """Grow many masters, a few per compiled call, into host memory (369 kB a finger).

    ``progress`` wraps the iterator over calls, for a progress bar.
    """
    size = MASTERS_PER_CALL
    padded = np.resize(fingers, -(-len(fingers) // size) * size)
    calls = list(padded.reshape(-1, size))
    parts = [jax.tree.map(np.asarray, make_masters(seed, jnp.asarray(c))) for c in progress(calls)]
    whole = jax.tree.map(lambda *a: np.concatenate(a)[: len(fingers)], *parts)
    return Master(*whole)


@lru_cache(maxsize=3)
def masters_of(seed: int, first: int, count: int) -> Master:
    """Return the masters of fingers ``first`` to ``first + count - 1``, with a progress bar.

    The masters of each compiled call are a block of the user's cache (:mod:`ifvit.cache`), and are
    grown only where it is missing. The last few sets are kept in memory: Module 2 trains on the
    same fingers as Module 1.
    """
    if count < 1:
        raise ValueError(f"count is {count}: expected at least one finger")
    size = MASTERS_PER_CALL
    starts = range(first - first % size, first + count, size)
    whole: Any = None
    for start in tqdm(starts, "growing fingers", unit="block", leave=False):
        block = _block(seed, start, size)
        if whole is None:
            whole = jax.tree.map(lambda a: np.empty((count, *a.shape[1:]), a.dtype), block)
        begin, end = max(first, start), min(first + count, start + size)
        for kept, made in zip(whole, block, strict=True):
            kept[begin - first : end - first] = made[begin - start : end - start]
    return whole


def _block(seed: int, start: int, size: int) -> Master:
    """Return ``size`` masters from number ``start`` on: from the cache, or grown and kept there."""
    cache, name = user_cache(), f"masters/{masters_key(seed, size)}-{start:08d}"
    kept = cache.load(name) if cache else None
    if kept is not None:
        return Master._make(kept[field] for field in Master._fields)
    made = grow_masters(seed, start + np.arange(size))
    if cache:
        cache.save(name, made._asdict())
    return made


@lru_cache
def masters_key(seed: int, size: int) -> str:
    """Return the key of a block, from all that decides it: above all the generator's source text.

    The versions of JAX and the device are in it too, since they affect the last bits of a ridge.
    """
    folder = files("ifvit")
    texts = [folder.joinpath(name).read_bytes() for name in GENERATOR]
    return key_of(*texts, jax.__version__, jax.default_backend(), seed, size)


def take(masters: Master, index: np.ndarray) -> Master:
    """Return some of a batch of masters, as a batch."""
    return Master(*(np.asarray(a)[index] for a in masters))
