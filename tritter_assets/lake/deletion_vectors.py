"""Deletion vectors: the rows of a data file that are gone, as Delta's protocol writes them.

A vector is a 64-bit roaring bitmap of row numbers, Z85-encoded into the commit itself (storage type
`i`), so that taking rows out of a file costs bytes in proportion to the rows that are gone from it
and no second file.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

_ROARING_64 = 1681511377
_NO_RUN_CONTAINERS = 12346
_MOST_IN_AN_ARRAY = 4096
_Z85 = np.frombuffer(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
    dtype=np.uint8,
)


def deletion_vector(rows: np.ndarray) -> dict[str, Any]:
    """Returns the descriptor of sorted, distinct row numbers below 2^32, as a commit carries it."""
    packed = struct.pack("<iqI", _ROARING_64, 1, 0) + _roaring(rows.astype(np.uint32))
    return {
        "storageType": "i",
        "pathOrInlineDv": _z85(packed),
        "sizeInBytes": len(packed),
        "cardinality": len(rows),
    }


def _roaring(rows: np.ndarray) -> bytes:
    """Returns the portable serialisation of a 32-bit roaring bitmap."""
    keys, starts = np.unique(rows >> np.uint32(16), return_index=True)
    ends = [*starts[1:].tolist(), len(rows)]
    heads, containers = b"", []
    for key, start, end in zip(keys.tolist(), starts.tolist(), ends, strict=True):
        low = (rows[start:end] & np.uint32(0xFFFF)).astype("<u2")
        heads += struct.pack("<HH", key, len(low) - 1)
        if len(low) <= _MOST_IN_AN_ARRAY:
            containers.append(low.tobytes())
        else:
            bits = np.zeros(1 << 16, dtype=np.bool_)
            bits[low] = True
            containers.append(np.packbits(bits, bitorder="little").tobytes())
    first = 8 + len(heads) + 4 * len(containers)
    offsets = first + np.cumsum([0, *(len(container) for container in containers[:-1])])
    header = struct.pack("<II", _NO_RUN_CONTAINERS, len(containers)) + heads
    return header + offsets.astype("<u4").tobytes() + b"".join(containers)


def _z85(data: bytes) -> str:
    """Returns four bytes as five characters; the end is filled up with zeros."""
    words = np.frombuffer(data + bytes(-len(data) % 4), dtype=">u4").astype(np.uint64)
    digits = np.empty((len(words), 5), dtype=np.uint8)
    for place in range(4, -1, -1):
        digits[:, place] = words % np.uint64(85)
        words //= np.uint64(85)
    return _Z85[digits].tobytes().decode("ascii")
