from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import tritter_assets
from tritter_assets.dedup.kernel import KERNEL_VERSION, NUM_HASHES, kernels
from tritter_assets.dedup.text_arrays import (
    ShingleSets,
    estimate_jaccard,
    normalized_sha256,
    shingle_sets,
    sketches,
)

TEXTS = st.text(alphabet=st.sampled_from("abAB01_ \t\n\u00e9\u4e2d+-."), min_size=0, max_size=120)

GOLDEN_SKETCHES = "00ea84958230b3167b24ed119a3abb72a6573ddde80c73ba6eb3705adc198a9e"


def reference_shingles(text: str, width: int = 5) -> set[tuple[str, ...]]:
    found = re.findall(r"[a-z0-9_]+", text.encode().decode("ascii", "replace").lower())
    if len(found) < width:
        return {("whole", reference_normal(text))}
    return {tuple(found[i : i + width]) for i in range(len(found) - width + 1)}


def reference_normal(text: str) -> str:
    folded = re.sub(rb"[\t\n\x0b\x0c\r\x1c-\x1f ]+", b" ", text.encode()).strip(b" ")
    return folded.lower().decode()


def sets_of(sets: ShingleSets) -> list[set[int]]:
    return [
        set(sets.hashes[begin:end].tolist())
        for begin, end in zip(sets.starts[:-1], sets.starts[1:], strict=True)
    ]


def strings(texts: list[str]) -> pa.Array:
    return pa.array(texts, pa.large_string())


@given(st.lists(TEXTS, min_size=2, max_size=6))
@settings(max_examples=80, deadline=None)
def test_sets_have_the_jaccard_of_the_plain_python_sets(texts: list[str]) -> None:
    ours = sets_of(shingle_sets(strings(texts)))
    plain = [reference_shingles(text) for text in texts]
    for one in range(len(texts)):
        assert len(ours[one]) == len(plain[one])
        for two in range(len(texts)):
            assert len(ours[one] & ours[two]) == len(plain[one] & plain[two])


@given(st.lists(TEXTS, min_size=1, max_size=6))
@settings(max_examples=60, deadline=None)
def test_normalised_digest_is_that_of_the_plain_python_text(texts: list[str]) -> None:
    expected = [hashlib.sha256(reference_normal(text).encode()).hexdigest() for text in texts]
    assert normalized_sha256(strings(texts)) == expected


@given(st.lists(TEXTS, min_size=3, max_size=8), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_results_do_not_depend_on_batches_slices_or_offset_width(
    texts: list[str], begin: int
) -> None:
    whole = sketches(shingle_sets(strings(texts)))
    begin = min(begin, len(texts) - 1)
    part = sketches(shingle_sets(strings(texts)[begin:]))
    narrow = sketches(shingle_sets(pa.array(texts, pa.string())[begin:]))
    assert (whole[begin:] == part).all()
    assert (part == narrow).all()


def test_nulls_empties_and_empty_arrays() -> None:
    sets = shingle_sets(pa.array([None, "", "   ", "a"], pa.large_string()))
    assert sets.counts().tolist() == [1, 1, 1, 1]
    assert sets.hashes[0] == sets.hashes[1] == sets.hashes[2] != sets.hashes[3]
    empty = shingle_sets(strings([]))
    assert empty.num_documents == 0
    assert sketches(empty).shape == (0, NUM_HASHES)
    assert normalized_sha256(strings([])) == []


def test_text_without_ascii_words_is_compared_whole() -> None:
    sets = sets_of(shingle_sets(strings(["\u4e2d\u6587", "\u4e2d\u56fd", "\u4e2d\u6587 "])))
    assert sets[0] == sets[2]
    assert sets[0] != sets[1]


def planted(shared: int, single: int, number: int) -> ShingleSets:
    """Pairs of random sets with a known intersection."""
    generator = np.random.default_rng(number)
    parts, starts = [], [0]
    for _ in range(200):
        common = generator.integers(1, 1 << 63, shared, dtype=np.uint64)
        for _ in range(2):
            own = generator.integers(1, 1 << 63, single, dtype=np.uint64)
            parts.append(np.concatenate([common, own]))
            starts.append(starts[-1] + shared + single)
    return ShingleSets(np.array(starts), np.concatenate(parts))


def test_estimates_are_unbiased_and_no_wider_than_minhash_at_every_size() -> None:
    # 1 of 2 shingles to 3,000 of 4,000: short documents need many rounds, long ones one.
    for shared, single in ((1, 1), (7, 3), (35, 10), (300, 100), (3000, 1000)):
        truth = shared / (shared + 2 * single)
        rows = sketches(planted(shared, single, shared))
        estimates = estimate_jaccard(rows[0::2], rows[1::2])
        deviation = np.sqrt(truth * (1 - truth) / NUM_HASHES)
        assert abs(estimates.mean() - truth) < 4 * deviation / np.sqrt(200)
        assert estimates.std() < 1.2 * deviation


def test_one_shingle_fills_every_coordinate() -> None:
    rows = sketches(ShingleSets(np.array([0, 1, 2]), np.array([77, 77], dtype=np.uint64)))
    assert (rows[0] == rows[1]).all()
    assert (rows != 0xFFFFFFFF).all()


def test_signatures_are_those_of_the_kernel_version() -> None:
    # Another value asks for another KERNEL_VERSION, and every index is made again.
    texts = [
        "",
        "a b",
        "\u4e2d\u6587 \x00",
        " ".join(f"w{n % 700}" for n in range(2000)),
        "x" * 999,
    ]
    texts += [" ".join(f"w{n * n}" for n in range(width)) for width in range(4, 300, 7)]
    rows = sketches(shingle_sets(strings(texts)))
    assert KERNEL_VERSION == "1"
    assert hashlib.sha256(rows.astype("<u4").tobytes()).hexdigest() == GOLDEN_SKETCHES


def test_a_long_document_has_the_set_of_its_words() -> None:
    # Longer than the first table of shingles, so that it grows.
    words = [f"w{n % 150_000}" for n in range(400_000)]
    sets = shingle_sets(strings([" ".join(words), " ".join(words[:150_004])]))
    assert sets.counts().tolist() == [150_000, 150_000]
    whole, part = sets_of(sets)
    assert whole == part


def test_importing_the_room_does_not_import_numba() -> None:
    room = Path(tritter_assets.__file__).parent / "dedup"
    modules = [f"tritter_assets.dedup.{path.stem}" for path in sorted(room.glob("[a-z]*.py"))]
    code = f"import sys; [__import__(m) for m in {modules}]; print('numba' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_kernels_compile_where_no_cache_folder_can_be_written(monkeypatch) -> None:
    import numba

    real = numba.njit

    def refusing(*args, cache: bool = False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*args, **options)

    monkeypatch.setattr(numba, "njit", refusing)
    kernels.cache_clear()
    try:
        assert shingle_sets(strings(["one two three four five"])).counts().tolist() == [1]
    finally:
        kernels.cache_clear()
