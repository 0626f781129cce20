from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from datasketch import LeanMinHash, MinHash, MinHashLSH

from tritter_assets.dedup.datasketch_bridge import (
    compatible_sketches,
    element_hashes,
    read_lean,
    write_lean,
)
from tritter_assets.dedup.text_arrays import ShingleSets, estimate_jaccard, shingle_sets, sketches
from tritter_assets.errors import ContractViolation
from tritter_assets_tests.dedup.corpus import text


@pytest.fixture(scope="module")
def sets() -> ShingleSets:
    texts = [text(n // 8, edits=[5 * k for k in range(n % 8)], count=200) for n in range(64)]
    return shingle_sets(pa.array([*texts, "short"], pa.large_string()))


def theirs(sets: ShingleSets, seed: int = 1) -> list[MinHash]:
    hashes = element_hashes(sets)
    found = []
    for begin, end in zip(sets.starts[:-1], sets.starts[1:], strict=True):
        sketch = MinHash(num_perm=256, seed=seed, hashfunc=int, scheme="affine32")
        sketch.update_batch(hashes[begin:end].tolist())
        found.append(sketch)
    return found


@pytest.mark.parametrize("seed", [1, 42])
def test_the_compatible_mode_equals_datasketch_value_for_value(sets, seed: int) -> None:
    ours = compatible_sketches(sets, seed=seed)
    assert (ours == np.stack([sketch.hashvalues for sketch in theirs(sets, seed)])).all()


def lean_bytes(sketch: MinHash, order: str) -> bytes:
    lean = LeanMinHash(sketch)
    buffer = bytearray(lean.bytesize(order))
    lean.serialize(buffer, order)
    return bytes(buffer)


def test_lean_bytes_are_written_and_read_as_datasketch_does(sets) -> None:
    payloads = [lean_bytes(sketch, "<") for sketch in theirs(sets)]
    ours = compatible_sketches(sets)
    # "@" is what `serialize` does when it is not told: native, with padding.
    native, _ = read_lean([lean_bytes(sketch, "@") for sketch in theirs(sets)])
    assert (native == ours).all()
    assert write_lean(ours) == payloads
    read, seed = read_lean(payloads)
    assert (read == ours).all()
    assert seed == 1
    back = LeanMinHash.deserialize(write_lean(ours)[0], "<")
    assert back.jaccard(theirs(sets)[0]) == 1.0


def test_an_index_of_datasketch_answers_for_our_documents(sets) -> None:
    index = MinHashLSH(threshold=0.7, num_perm=256)
    for number, sketch in enumerate(theirs(sets)):
        index.insert(number, sketch)
    query = LeanMinHash.deserialize(write_lean(compatible_sketches(sets))[8], "<")
    assert 8 in index.query(query)


def test_estimates_agree_within_sampling_error(sets) -> None:
    rows, reference = sketches(sets), theirs(sets)
    differences = []
    for one in range(0, 64, 8):
        for two in range(one + 1, one + 8):
            ours = estimate_jaccard(rows[one], rows[two])
            differences.append(float(ours - reference[one].jaccard(reference[two])))
    # Each side errs by at most 0.5 / 16; their difference by sqrt(2) of that.
    assert max(map(abs, differences)) < 4 * 0.045
    assert abs(np.mean(differences)) < 0.02


@pytest.mark.parametrize(("num_hashes", "seed"), [(16, 0), (128, 7), (512, 2**32 - 1)])
def test_other_lengths_and_seeds_are_exchanged_too(sets, num_hashes: int, seed: int) -> None:
    part = ShingleSets(sets.starts[:4], sets.hashes)
    ours = compatible_sketches(part, num_hashes, seed)
    written = write_lean(ours, seed)
    for row, payload in zip(range(3), written, strict=True):
        begin, end = part.starts[row], part.starts[row + 1]
        sketch = MinHash(num_perm=num_hashes, seed=seed, hashfunc=int, scheme="affine32")
        sketch.update_batch(element_hashes(part)[begin:end].tolist())
        assert payload == lean_bytes(sketch, "<")
    read, found = read_lean(written)
    assert (read == ours).all()
    assert found == seed


def test_payloads_of_another_kind_are_refused(sets) -> None:
    good = write_lean(compatible_sketches(sets))[0]
    legacy = lean_bytes(MinHash(num_perm=256, scheme="legacy"), "<")
    swapped = lean_bytes(theirs(sets)[0], ">")
    for bad, message in (
        ([], "at least one"),
        ([b"x"], "0 of 1 bytes is cut short"),
        ([good, legacy], r"1 is of the legacy .* scheme='affine32'"),
        ([good[:-4]], "says 256 values and has 1033 bytes"),
        ([swapped], "little-endian"),
    ):
        with pytest.raises(ContractViolation, match=message):
            read_lean(bad)
    with pytest.raises(ContractViolation, match=r"different seeds or lengths \(seeds \[1, 2\]"):
        read_lean([good, write_lean(compatible_sketches(sets), seed=2)[0]])
