"""Exchange with datasketch, the reference implementation of MinHash in Python.

Our sketches are not datasketch's: another hash of shingles, another family, so coordinates cannot
be compared one by one. Two things hold. Estimates of the same pair agree within the sampling
error of both. And this module computes, over the same shingles, sketches of datasketch's own
family (`affine32`: MurmurHash3 finalizer, then a*h + b mod 2^32) and reads and writes its
`LeanMinHash` bytes, so an index built by datasketch >= 2.0 can be queried with our documents, and
the other way round.

Layout of those bytes, little-endian: seed int64, negated number of values int32, scheme code
uint8 (1 = affine32), values uint32.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from tritter_assets.dedup.kernel import NUM_HASHES
from tritter_assets.dedup.text_arrays import ShingleSets
from tritter_assets.errors import ContractViolation

AFFINE32 = 1
_HEADER = struct.Struct("<qiB")
_ALIGNED_BYTES = 16


def element_hashes(sets: ShingleSets) -> np.ndarray:
    """Returns the 32-bit hashes of shingles that both sides feed to the permutations.

    For datasketch: `MinHash(num_perm=256, hashfunc=int).update(value)` with these values, because
    its default hash takes bytes of a shingle, which are never made here.
    """
    return (sets.hashes >> np.uint64(32)).astype(np.uint32)


def permutations(num_hashes: int = NUM_HASHES, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Returns datasketch's affine32 parameters (a odd, b) for a seed, as it draws them."""
    generator = np.random.RandomState(seed)
    a = generator.randint(0, 1 << 31, num_hashes, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    b = generator.randint(0, 1 << 32, num_hashes, dtype=np.uint32)
    return a, b


def compatible_sketches(
    sets: ShingleSets, num_hashes: int = NUM_HASHES, seed: int = 1
) -> np.ndarray:
    """Returns sketches equal to datasketch's over `element_hashes`: one row per document."""
    a, b = permutations(num_hashes, seed)
    mixed = _finalized(element_hashes(sets))
    out = np.full((sets.num_documents, num_hashes), 0xFFFFFFFF, dtype=np.uint32)
    for document in range(sets.num_documents):
        begin, end = sets.starts[document], sets.starts[document + 1]
        for block in range(begin, end, 4096):
            values = mixed[block : min(block + 4096, end), None]
            np.minimum(out[document], (values * a + b).min(axis=0), out=out[document])
    return out


def write_lean(sketches: np.ndarray, seed: int = 1) -> list[bytes]:
    """Returns each sketch as `LeanMinHash.serialize(buffer, "<")` writes it."""
    header = _HEADER.pack(seed, -sketches.shape[1], AFFINE32)
    return [header + row.astype("<u4").tobytes() for row in sketches]


def read_lean(payloads: Sequence[bytes]) -> tuple[np.ndarray, int]:
    """Reads `LeanMinHash` bytes; returns the sketches and their common seed.

    Takes what `serialize(buffer, "<")` writes, and what `serialize(buffer)` does on a
    little-endian machine, where three bytes follow the scheme.

    Raises:
        ContractViolation: there are none, or one is of another scheme, length, byte order or seed,
            or is cut short.
    """
    if not payloads:
        raise ContractViolation("no LeanMinHash to read: give at least one")
    rows, seeds = [], set()
    for number, payload in enumerate(payloads):
        if len(payload) < _HEADER.size:
            raise ContractViolation(
                f"LeanMinHash {number} of {len(payload)} bytes is cut short: its header alone has "
                f"{_HEADER.size}"
            )
        seed, negated, scheme = _HEADER.unpack_from(payload)
        if negated >= 0 or scheme != AFFINE32:
            raise ContractViolation(
                f"LeanMinHash {number} is of the legacy or the 64-bit scheme: write it with "
                "datasketch >= 2.0 and scheme='affine32', in little-endian byte order"
            )
        offset = len(payload) + 4 * negated
        if offset not in (_HEADER.size, _ALIGNED_BYTES):
            raise ContractViolation(
                f"LeanMinHash {number} says {-negated} values and has {len(payload)} bytes: it was "
                "cut short, or written in another byte order; write it with serialize(buffer, '<')"
            )
        rows.append(np.frombuffer(payload, dtype="<u4", offset=offset))
        seeds.add(seed)
    lengths = {len(row) for row in rows}
    if len(seeds) != 1 or len(lengths) != 1:
        raise ContractViolation(
            f"LeanMinHashes of different seeds or lengths (seeds {sorted(seeds)}, values "
            f"{sorted(lengths)}) cannot be compared: read each kind alone"
        )
    return np.stack(rows).astype(np.uint32), seeds.pop()


def _finalized(values: np.ndarray) -> np.ndarray:
    values = values ^ (values >> np.uint32(16))
    values = values * np.uint32(0x85EBCA6B)
    values = values ^ (values >> np.uint32(13))
    values = values * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))
