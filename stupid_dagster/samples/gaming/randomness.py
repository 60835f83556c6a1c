"""Random streams and the few drawing functions that NumPy lacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.signedinteger[Any]]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

_HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)


def stream(seed: int, *keys: int) -> np.random.Generator:
    """Return the generator of one purpose: the same keys always give the same numbers."""
    return np.random.default_rng([seed, *keys])


def pick(rng: np.random.Generator, shares: Any, size: int) -> Ints:
    """Return `size` indices into `shares` (n,), each drawn with its share."""
    bounds = np.cumsum(np.asarray(shares, dtype=np.float64))
    drawn = np.searchsorted(bounds, rng.random(size) * bounds[-1], side="right")
    return np.minimum(drawn, len(bounds) - 1)


def pick_per_row(rng: np.random.Generator, shares: Floats, rows: Ints) -> Ints:
    """Return for each of `rows` an index into that row of `shares` (m, n), with its share."""
    bounds = np.cumsum(shares, axis=1)
    drawn = rng.random(len(rows)) * bounds[rows, -1]
    chosen = np.zeros(len(rows), dtype=np.int64)
    for column in range(shares.shape[1] - 1):
        chosen += drawn >= bounds[rows, column]
    return chosen


def zipf_shares(n: int, exponent: float = 1.0) -> Floats:
    """Return n shares that fall as 1/rank^exponent and sum up to 1."""
    weights = 1.0 / np.arange(1, n + 1) ** exponent
    return weights / weights.sum()


def hex_strings(rng: np.random.Generator, n: int, width: int) -> pa.Array:
    """Return n random strings of `width` (even) hexadecimal digits."""
    raw = np.frombuffer(rng.bytes(n * width // 2), dtype=np.uint8)
    digits = np.empty((len(raw), 2), dtype=np.uint8)
    digits[:, 0], digits[:, 1] = _HEX[raw >> 4], _HEX[raw & 15]
    return fixed_width(digits.reshape(n, width))


def fixed_width(letters: npt.NDArray[np.uint8]) -> pa.Array:
    """Return the rows of an (n, width) matrix of ASCII codes as n strings."""
    n, width = letters.shape
    offsets = np.arange(n + 1, dtype=np.int64) * width
    data = np.ascontiguousarray(letters)
    return pa.Array.from_buffers(
        pa.large_string(), n, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )


def unit_of(numbers: Ints) -> Floats:
    """Return for each number a share in [0, 1): always the same for the same number."""
    return (_mixed(numbers) >> np.uint64(11)).astype(np.float64) / 2.0**53


def hex_of(numbers: Ints) -> pa.Array:
    """Return 16 hexadecimal digits for each number: equal for equal numbers, else different."""
    raw = _mixed(numbers).view(np.uint8).reshape(len(numbers), 8)
    digits = np.stack([_HEX[raw >> 4], _HEX[raw & 15]], axis=2)
    return fixed_width(digits.reshape(len(numbers), 16))


def _mixed(numbers: Ints) -> npt.NDArray[np.uint64]:
    """Steele, Lea and Flood's splitmix64 (2014), which maps no two numbers to one."""
    x = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
