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


def test_lean_bytes_are_written_and_read_as_datasketch_does(sets) -> None:
    payloads = []
    for sketch in theirs(sets):
        lean = LeanMinHash(sketch)
        buffer = bytearray(lean.bytesize("<"))
        lean.serialize(buffer, "<")
        payloads.append(bytes(buffer))
    ours = compatible_sketches(sets)
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


def test_payloads_of_another_kind_are_refused(sets) -> None:
    good = write_lean(compatible_sketches(sets))[0]
    legacy = LeanMinHash(MinHash(num_perm=256, scheme="legacy"))
    buffer = bytearray(legacy.bytesize("<"))
    legacy.serialize(buffer, "<")
    for bad in ([b"x"], [bytes(buffer)], [good[:-4]]):
        with pytest.raises(ContractViolation):
            read_lean(bad)
    with pytest.raises(ContractViolation, match="different seeds"):
        read_lean([good, write_lean(compatible_sketches(sets), seed=2)[0]])
