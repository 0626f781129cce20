from __future__ import annotations

import shutil
import tempfile
from contextlib import suppress

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tritter_assets.dedup import candidates, crowds, near
from tritter_assets.dedup.band_table import NEAR_BANDS
from tritter_assets.dedup.bands import layout_for
from tritter_assets.dedup.document_cache import DocumentCache
from tritter_assets.dedup.exact import update_exact_index
from tritter_assets.dedup.index import inputs_version
from tritter_assets.dedup.near import NEAR_PAIRS, update_near_index
from tritter_assets.dedup.survivors import dropped_ids
from tritter_assets.errors import ContractViolation, MissingProvenance
from tritter_assets.lake import Lake, fingerprint_of, keyed_files
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text, write_filtered

FINGERPRINT = "a" * 15
NEAR = "dedup/near_index"


@pytest.fixture
def lake(tmp_path) -> Lake:
    return Lake.at(tmp_path)


def update(lake: Lake, shards, priorities=None, **options):
    inputs = inputs_of(shards, priorities)
    version = near.code_version(options.get("threshold", 0.7))
    made_from = fingerprint_of(version, inputs_version(lake, inputs))
    return update_near_index(lake, inputs, fingerprint=made_from, **options)


def rows_of(lake: Lake) -> dict[str, dict]:
    frame = lake.scan(NEAR).collect()
    return {row["id"]: row for row in frame.iter_rows(named=True)}


def jaccard(one: str, two: str) -> float:
    def shingles(content: str) -> set[tuple[str, ...]]:
        found = content.lower().split()
        return {tuple(found[i : i + 5]) for i in range(len(found) - 4)}

    a, b = shingles(one), shingles(two)
    return len(a & b) / len(a | b)


def test_layouts_are_those_of_the_design() -> None:
    assert (layout_for(0.7).num_bands, layout_for(0.7).rows_per_band) == (42, 6)
    assert (layout_for(0.85).num_bands, layout_for(0.85).rows_per_band) == (25, 10)
    assert layout_for(0.7).miss_probability(0.8) < 5e-6
    for bad in (0.0, -1.0, 1.5, 0.001):
        with pytest.raises(ContractViolation):
            layout_for(bad)


def test_a_near_copy_falls_for_the_first_and_the_evidence_is_exact(lake: Lake) -> None:
    one, two = text(1), text(1, edits=(30,))
    sign(lake, "s", "000", [Doc("1" * 32, one), Doc("2" * 32, two), Doc("3" * 32, text(2))])
    report = update(lake, [("s", "000")])
    rows = rows_of(lake)
    assert set(rows) == {"1" * 32, "2" * 32}
    fallen = rows["2" * 32]
    assert (fallen["action"], fallen["reason"]) == ("drop", "near_duplicate")
    assert fallen["kept_id"] == "1" * 32
    assert fallen["score"] == pytest.approx(jaccard(one, two))
    pairs = lake.scan(NEAR_PAIRS).collect()
    assert pairs.select("id_a", "id_b").rows() == [("1" * 32, "2" * 32)]
    assert report.details["pairs"] == 1


def test_a_pair_just_below_the_threshold_is_kept(lake: Lake) -> None:
    one, two = text(1), text(1, edits=(10, 30))
    assert 0.65 < jaccard(one, two) < 0.7
    docs = [Doc("1" * 32, one), Doc("2" * 32, two)]
    sign(lake, "s", "000", docs)
    assert update(lake, [("s", "000")]).num_members == 0
    assert update(lake, [("s", "000")], threshold=0.65).num_dropped == 1


def test_a_member_tied_only_to_a_dropped_one_stays(lake: Lake) -> None:
    # a - b and b - c are pairs, a - c is not: usual practice would drop b and c.
    a, b, c = text(1), text(1, edits=(20,)), text(1, edits=(20, 45))
    assert jaccard(a, b) >= 0.7 <= jaccard(b, c)
    assert jaccard(a, c) < 0.7
    sign(lake, "s", "000", [Doc("1" * 32, a), Doc("2" * 32, b), Doc("3" * 32, c)])
    update(lake, [("s", "000")])
    rows = rows_of(lake)
    assert [rows[n * 32]["action"] for n in "123"] == ["keep", "drop", "keep"]
    assert rows["3" * 32]["match"] == "transitive"
    assert {row["cluster_size"] for row in rows.values()} == {3}


def test_survivors_follow_source_priority(lake: Lake) -> None:
    sign(lake, "web", "000", [Doc("1" * 32, text(1))])
    sign(lake, "curated", "000", [Doc("9" * 32, text(1, edits=(3,)))])
    shards = [("web", "000"), ("curated", "000")]
    update(lake, shards, {"curated": 1, "web": 9})
    assert rows_of(lake)["1" * 32]["kept_id"] == "9" * 32
    update(lake, shards, {"curated": 9, "web": 1})
    assert rows_of(lake)["9" * 32]["kept_id"] == "1" * 32


def test_many_copies_cost_no_pairs_among_themselves(lake: Lake) -> None:
    copies = [Doc(f"{n:032x}", text(1)) for n in range(300)]
    sign(lake, "s", "000", [*copies, Doc("f" * 32, text(1, edits=(30,)))])
    report = update(lake, [("s", "000")])
    assert report.details["candidates"] == 1
    rows = rows_of(lake)
    assert sum(row["action"] == "keep" for row in rows.values()) == 1
    assert rows["f" * 32]["reason"] == "near_duplicate"
    assert rows[f"{5:032x}"]["reason"] == "exact_duplicate"


def test_near_copies_under_conflicting_licences_are_quarantined(lake: Lake) -> None:
    docs = [
        Doc("1" * 32, text(1), "MIT"),
        Doc("2" * 32, text(1, edits=(30,)), "GPL-3.0-only"),
        Doc("3" * 32, text(2), "MIT"),
        Doc("4" * 32, text(2, edits=(30,)), "Apache-2.0"),
    ]
    sign(lake, "s", "000", docs)
    update(lake, [("s", "000")])
    rows = rows_of(lake)
    assert [rows[n * 32]["action"] for n in "1234"] == ["quarantine", "quarantine", "keep", "drop"]
    assert rows["1" * 32]["licenses"] == ["GPL-3.0-only", "MIT"]


def test_exact_and_near_never_drop_each_others_survivors(lake: Lake) -> None:
    docs = [Doc(f"{n:032x}", text(n % 3, edits=((30,) if n % 2 else ()))) for n in range(12)]
    sign(lake, "s", "000", docs)
    inputs = inputs_of([("s", "000")])
    update_exact_index(lake, inputs, fingerprint=FINGERPRINT)
    update_near_index(lake, inputs, fingerprint=FINGERPRINT)
    dropped = set(dropped_ids(lake)["id"])
    kept = [doc for doc in docs if doc.id not in dropped]
    assert len(kept) == 3
    assert {doc.content.split()[0] for doc in kept} == {"w0_0", "w1_0", "w2_0"}


def test_only_changed_shards_are_banded_again(lake: Lake) -> None:
    shards = [("s", f"{n:03d}") for n in range(4)]
    for number, (source, shard) in enumerate(shards):
        sign(lake, source, shard, [Doc(f"{number:032x}", text(number))])
    assert update(lake, shards).details["shards_changed"] == 4
    again = update(lake, shards).details
    assert (again["shards_changed"], again["new_contents"]) == (0, 0)
    sign(lake, "s", "002", [Doc(f"{2:032x}", text(2)), Doc("e" * 32, text(0, edits=(30,)))])
    changed = update(lake, shards).details
    assert (changed["shards_changed"], changed["new_contents"], changed["pairs"]) == (1, 1, 1)
    without = update(lake, shards[:2] + shards[3:]).details
    assert (without["shards_removed"], without["pairs"]) == (1, 0)
    assert {state.partition["shard"] for state in lake.states(NEAR_BANDS)} == {"000", "001", "003"}


def test_verification_reads_the_documents_that_were_signed(lake: Lake) -> None:
    docs = [Doc("1" * 32, text(1)), Doc("2" * 32, text(1, edits=(30,)))]
    sign(lake, "s", "000", docs)
    write_filtered(lake, "s", "000", [docs[0], Doc("2" * 32, text(7))])
    with pytest.raises(MissingProvenance, match="not what was signed"):
        update(lake, [("s", "000")])
    write_filtered(lake, "s", "000", docs[:1])
    with pytest.raises(MissingProvenance, match="not in its table any more"):
        update(lake, [("s", "000")])


def test_little_memory_gives_the_same_index(lake: Lake) -> None:
    docs = [Doc(f"{n:032x}", text(n % 10, edits=(n,), count=80)) for n in range(60)]
    sign(lake, "s", "000", docs)
    update(lake, [("s", "000")])
    plenty = lake.state(NEAR).data_version, lake.state(NEAR_PAIRS).data_version
    other = Lake.at(lake.location.root + "_small")
    sign(other, "s", "000", docs)
    # 1 KiB: every group holds a document or two, so nearly every pair lies across groups.
    update(other, [("s", "000")], memory_limit_bytes=1024)
    assert (other.state(NEAR).data_version, other.state(NEAR_PAIRS).data_version) == plenty


def test_empty_inputs(lake: Lake) -> None:
    assert update(lake, []).num_members == 0
    sign(lake, "s", "000", [])
    assert update(lake, [("s", "000")]).num_members == 0
    sign(lake, "s", "000", [Doc("1" * 32, text(1)), Doc("2" * 32, text(1, edits=(1,)))])
    assert update(lake, [("s", "000")]).num_members == 2
    sign(lake, "s", "000", [])
    assert update(lake, [("s", "000")]).num_members == 0


def stop_before_the(number: int, monkeypatch) -> None:
    """Makes the n-th write from now (to a table, or of the cache) end the run."""
    left = [number]

    def stopping(real):
        def stopped(*args, **options):
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
            return real(*args, **options)

        return stopped

    writes = ((Lake, "write_partitions"), (Lake, "replace_keys"), (DocumentCache, "commit"))
    for kind, name in writes:
        monkeypatch.setattr(kind, name, stopping(getattr(kind, name)))


@pytest.mark.parametrize("number", range(5))
def test_a_run_killed_before_any_write_is_completed_by_the_next(
    lake: Lake, monkeypatch, number: int
) -> None:
    shards = [("s", "000"), ("s", "001")]
    sign(lake, "s", "000", [Doc("1" * 32, text(1)), Doc("2" * 32, text(2))])
    sign(lake, "s", "001", [Doc("3" * 32, text(3)), Doc("4" * 32, text(4))])
    update(lake, shards)
    after = {
        "000": [Doc("1" * 32, text(1)), Doc("5" * 32, text(3, edits=(5,)))],
        "001": [Doc("3" * 32, text(3)), Doc("6" * 32, text(1, edits=(6,)))],
    }
    for shard, docs in after.items():
        sign(lake, "s", shard, docs)
    with monkeypatch.context() as patched:
        stop_before_the(number, patched)
        if number < 4:
            with pytest.raises(KeyboardInterrupt):
                update(lake, shards)
        else:  # pairs, clusters, bands, cache
            update(lake, shards)
    again = update(lake, shards)
    # Only a run killed after its bands and before its cache is made anew.
    assert again.details["new_contents"] == {3: 4, 4: 0}.get(number, 2)
    assert_same_as_batch(lake, {("s", shard): docs for shard, docs in after.items()}, {})


@pytest.mark.parametrize("damage", ["cut", "gone", "database"])
def test_a_cache_that_is_not_whole_is_made_anew(lake: Lake, damage: str) -> None:
    docs = {
        "000": [Doc("1" * 32, text(1)), Doc("2" * 32, text(2))],
        "001": [Doc("3" * 32, text(1, edits=(5,))), Doc("4" * 32, text(4))],
    }
    for shard, some in docs.items():
        sign(lake, "s", shard, some)
    update(lake, [("s", "000")])
    folder = lake.location.cache_folder(NEAR)
    file = next((folder / "bands").glob("*.values"))
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-8])
    elif damage == "gone":
        file.unlink()
    else:
        (folder / "documents.sqlite").write_bytes(b"not a database" * 400)
    assert update(lake, [("s", "000"), ("s", "001")]).details["new_contents"] == 4
    assert_same_as_batch(lake, {("s", shard): some for shard, some in docs.items()}, {})


def assert_same_as_batch(lake: Lake, state: dict, priorities: dict) -> None:
    """The tables equal those of a new lake that gets the same documents at once, in reverse."""
    with tempfile.TemporaryDirectory() as folder:
        batch = Lake.at(folder)
        for (source, shard), docs in state.items():
            sign(batch, source, shard, docs)
        update(batch, list(reversed(list(state))), priorities)
        for table, order in ((NEAR, ["cluster_id", "id"]), (NEAR_PAIRS, ["id_a", "id_b"])):
            stored = lake.scan(table).collect().sort(order)
            assert stored.equals(batch.scan(table).collect().sort(order)), table
            assert lake.state(table).data_version == batch.state(table).data_version
        bands = [
            lake_.scan(NEAR_BANDS).sort("source", "shard", "id", "band").collect()
            if lake_.exists(NEAR_BANDS)
            else pl.DataFrame()
            for lake_ in (lake, batch)
        ]
        assert bands[0].height == bands[1].height
        assert bands[0].is_empty() or bands[0].equals(bands[1].select(bands[0].columns))


SHARDS = [("a", "000"), ("a", "001"), ("b", "000")]
DOCUMENT = st.tuples(
    st.integers(0, 3), st.integers(0, 4), st.booleans(), st.sampled_from(["", "renamed", "moved"])
)
STEP = st.tuples(
    st.sampled_from(SHARDS), st.one_of(st.none(), st.lists(DOCUMENT, max_size=5, unique=True))
)


def document(shard: tuple[str, str], spec: tuple[int, int, bool, str]) -> Doc:
    seed, edit, copyleft, kind = spec
    content = text(seed, edits=tuple(range(10, 10 + 12 * edit, 12)))
    # `renamed` makes the same id carry another content in time: a redaction does that. `moved`
    # makes two shards have a document of one id, with the same content or another.
    place = shard[0] if kind == "moved" else shard
    identity = fingerprint_of(place, seed, edit if kind == "" else 0, copyleft)
    return Doc(identity, content, "GPL-3.0-only" if copyleft else "MIT", path=str(seed))


@given(
    st.lists(st.tuples(STEP, st.integers(0, 20)), min_size=2, max_size=6),
    st.integers(0, 1),
    st.booleans(),
    st.sampled_from([(128, 32), (2, 1), (3, 2)]),
)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_sequence_of_changes_ends_where_a_batch_run_does(
    steps, first: int, lost: bool, crowd: tuple[int, int]
) -> None:
    """Runs killed between any two writes, and a cache that gets lost, included."""
    # So few rows a file that a change touches some of many files.
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(keyed_files, "FILE_ROWS", 8)
        patched.setattr(candidates, "_BATCH_SHARE", 4 if lost else 0)
        patched.setattr(near, "CROWD", crowd[0])
        patched.setattr(crowds, "CROWD", crowd[0])
        patched.setattr(crowds, "NUM_HUBS", crowd[1])
        lake = Lake.at(folder)
        state: dict = {}
        priorities: dict = {}
        for number, ((shard, specs), kill) in enumerate(steps):
            if specs is None:
                state.pop(shard, None)
            else:
                docs = {doc.id: doc for doc in (document(shard, spec) for spec in specs)}
                state[shard] = list(docs.values())
                sign(lake, *shard, state[shard])
            priorities = {"a": (first + number // 3) % 2, "b": 1}
            with pytest.MonkeyPatch.context() as killing, suppress(KeyboardInterrupt):
                stop_before_the(kill, killing)
                update(lake, list(state), priorities)
        if lost:
            shutil.rmtree(lake.location.cache_folder(NEAR))
        update(lake, list(state), priorities)
        assert_same_as_batch(lake, state, priorities)
        report = update(lake, list(state), priorities)
        rows = lake.scan(NEAR).collect()
        assert report.num_members == rows.height
        assert report.num_clusters == rows["cluster_id"].n_unique()
        assert report.num_dropped == rows.filter(pl.col("action") == "drop").height
        assert (
            report.details["pairs"]
            == lake.scan(NEAR_PAIRS)
            .filter(pl.col("content_a") != pl.col("content_b"))
            .select(pl.len())
            .collect()
            .item()
        )


def test_pairs_are_those_of_brute_force(lake: Lake) -> None:
    generator = np.random.default_rng(3)
    docs = []
    for number in range(120):
        edits = generator.choice(80, size=int(generator.integers(0, 4)), replace=False)
        docs.append(Doc(f"{number:032x}", text(number % 12, edits=edits.tolist(), count=80)))
    sign(lake, "s", "000", docs)
    update(lake, [("s", "000")])
    stored = lake.scan(NEAR_PAIRS).collect()
    ours = {(row[0], row[1]) for row in stored.select("id_a", "id_b").rows()}
    first = {}
    for doc in docs:
        first.setdefault(doc.content, doc.id)
    truth = set()
    for one in docs:
        for two in docs:
            if one.id >= two.id:
                continue
            if one.content == two.content:
                if first[one.content] == one.id:
                    truth.add((one.id, two.id))
            elif (
                first[one.content] == one.id
                and first[two.content] == two.id
                and jaccard(one.content, two.content) >= 0.7
            ):
                truth.add((one.id, two.id))
    assert ours <= truth
    assert len(ours) >= 0.99 * len(truth)
    assert near.code_version(0.7) != near.code_version(0.85)


def test_thousands_of_near_identical_documents_cost_in_proportion_to_them(lake: Lake) -> None:
    """5,000 of them make 12.5 million pairs; 3 CPU seconds where those took 200."""
    count = 5000
    body = text(1, count=200)
    sign(lake, "s", "000", [Doc(f"{n:032x}", f"{body} tail{n}") for n in range(count)])
    report = update(lake, [("s", "000")])
    assert report.num_dropped == count - 1
    assert report.details["candidates"] < 50 * count
    kept = lake.scan(NEAR).filter(pl.col("action") == "keep").collect()
    assert kept["id"].to_list() == [f"{0:032x}"]
