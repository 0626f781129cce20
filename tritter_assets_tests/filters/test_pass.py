"""The pass over a shard and its application: one lake, from raw to filtered."""

from __future__ import annotations

from dataclasses import replace

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.contracts.policy import load_policy
from tritter_assets.contracts.source import FileOrigin, LicenceFacts, SourceContract
from tritter_assets.errors import MissingProvenance
from tritter_assets.filters import apply, funnel, judge, pieces, run_stages
from tritter_assets.lake import Lake
from tritter_assets.record import DOCUMENT_SCHEMA, Modality, content_sha256
from tritter_assets.verdict import Span
from tritter_assets_tests.filters.documents import (
    GOOD,
    POLICY,
    PROFILE,
    RAW,
    context_of,
    document,
    frame_of,
)

CONTRACT = SourceContract(
    id="demo",
    title="Demo",
    description="",
    owner="team:x",
    tier=1,
    priority=1,
    modality=Modality.CODE,
    languages=("Python",),
    profiles=("test",),
    origin=FileOrigin(path="x", file_format="jsonl"),
    columns={},
    licence=LicenceFacts(content="MIT"),
    num_shards=1,
)
WITHOUT_BENCHMARKS = replace(PROFILE, filters={"decontamination": {"enabled": False}})
NO_REMOVALS = pl.DataFrame(schema={"request": pl.String, "kind": pl.String, "value": pl.String})
MAILS = GOOD + "# jane.doe@example.com and jane.doe@example.com\n"


@pytest.fixture(scope="module")
def policy():
    return replace(load_policy(POLICY), filters=RAW)


def store(lake, rows):
    columns = {name: [row.get(name) for row in rows] for name in DOCUMENT_SCHEMA.names}
    table = pa.table(columns, schema=DOCUMENT_SCHEMA).sort_by("id")
    lake.write("raw/demo", table, DOCUMENT_SCHEMA, fingerprint="1" * 15, partition={"shard": "000"})


def run(lake, policy, profile=WITHOUT_BENCHMARKS):
    report = judge.judge_shard(
        lake, "demo", "000", contract=CONTRACT, policy=policy, profile=profile,
        removals=NO_REMOVALS, fingerprint="2" * 15,
    )  # fmt: skip
    return report, lake.scan("verdicts/demo").collect().sort("id", "stage_number", "reason")


ROWS = [
    document(GOOD, "a.py"),
    document(MAILS, "b.py", instruction="ask jane.doe@example.com", response="none"),
    document("x = 1\n", "c.py"),
    document(GOOD + "#\n", "d.py", license_concluded="GPL-3.0-only"),
    document("fn main() {}\n", "e.rs", language="Rust"),
    document(GOOD + "x = 2\n", "third_party/f.py"),
]


def test_from_raw_to_filtered(tmp_path, policy):
    lake = Lake.at(tmp_path)
    store(lake, ROWS)
    report, verdicts = run(lake, policy)
    assert (report.num_documents, report.num_kept) == (6, 2)
    terminal = verdicts.filter(pl.col("terminal"))
    assert terminal["id"].n_unique() == terminal.height == 6
    paths = {row["id"]: row["path"] for row in ROWS}
    outcome = {paths[i]: r for i, r in terminal.select("id", "reason").iter_rows()}
    assert outcome == {
        "a.py": "passed",
        "b.py": "passed",
        "c.py": "too_few_lines",
        "d.py": "license_not_admitted",
        "e.rs": "language_not_wanted",
        "third_party/f.py": "vendored",
    }
    # A document that was dropped is not shown to later stages.
    dropped = verdicts.filter(pl.col("id") == ROWS[2]["id"])
    assert dropped["stage"].to_list() == ["length"]

    applied = apply.apply_shard(lake, "demo", "000", fingerprint="3" * 15)
    assert (applied.num_documents, applied.num_redactions) == (2, 2)
    filtered = lake.scan("filtered/demo").collect()
    assert filtered["id"].is_sorted()
    row = filtered.filter(pl.col("path") == "b.py").row(0, named=True)
    assert row["id"] == ROWS[1]["id"]
    assert row["content"] == MAILS.replace("jane.doe@example.com", "<EMAIL>")
    assert row["content_sha256"] == content_sha256(row["content"])
    assert row["content_bytes"] == len(row["content"])
    assert row["instruction"] == "ask <EMAIL>"
    counted = funnel.funnel(lake, "demo")
    assert counted["num_out"].to_list()[-1] == 2
    assert funnel.count_reasons(lake, ["demo"])["num_documents"].sum() == 4


def test_verdicts_do_not_depend_on_batches_or_order(tmp_path, policy, monkeypatch):
    lake = Lake.at(tmp_path / "a")
    store(lake, ROWS)
    _, one = run(lake, policy)
    monkeypatch.setattr(pieces, "PIECE_BYTES", 1)
    _, other = run(lake, policy)
    assert one.equals(other)
    context = context_of({"decontamination": {"enabled": False}})
    frame = frame_of(*ROWS)

    def key(row):
        return row["id"], row["stage_number"], row["reason"]

    forward = sorted(judge.judge_frame(frame, context), key=key)
    backward = sorted(judge.judge_frame(frame.reverse(), context), key=key)
    assert forward == backward


def test_all_stages_can_be_run_for_study(policy, tmp_path):
    lake = Lake.at(tmp_path)
    store(lake, [document("x = 1\n# jane.doe@example.com\n", "third_party/c.py")])
    filters = {"decontamination": {"enabled": False}, "run_all_stages": True}
    _, verdicts = run(lake, policy, replace(PROFILE, filters=filters))
    assert set(verdicts["stage"]) == {"length", "generated", "comment_ratio", "pii"}
    assert verdicts.filter(pl.col("terminal"))["stage"].to_list() == ["length"]
    apply.apply_shard(lake, "demo", "000", fingerprint="3" * 15)
    assert lake.scan("filtered/demo").collect().is_empty()


def test_apply_refuses_verdicts_of_other_documents(tmp_path, policy):
    lake = Lake.at(tmp_path)
    store(lake, ROWS)
    run(lake, policy)
    store(lake, [*ROWS[:-1], document(GOOD + "y = 3\n", "new.py")])
    with pytest.raises(MissingProvenance, match="1 documents have no verdict"):
        apply.apply_shard(lake, "demo", "000", fingerprint="3" * 15)


def test_an_empty_shard_gives_empty_tables(tmp_path, policy):
    lake = Lake.at(tmp_path)
    store(lake, [])
    report, verdicts = run(lake, policy)
    assert report.num_documents == 0
    assert verdicts.is_empty()
    assert apply.apply_shard(lake, "demo", "000", fingerprint="3" * 15).num_documents == 0


def test_code_version_names_every_input(policy):
    first = judge.code_version(CONTRACT, policy, PROFILE)
    assert first == judge.code_version(CONTRACT, policy, PROFILE)
    assert first != judge.code_version(CONTRACT, policy, replace(PROFILE, use_profile="strict"))
    assert first != judge.code_version(
        CONTRACT, policy, replace(PROFILE, filters={"length": {"min_lines": 3}})
    )
    assert first != judge.code_version(replace(CONTRACT, languages=("Rust",)), policy, PROFILE)


@pytest.mark.parametrize(
    "content",
    [
        "a" * 20_000_000,
        "\0" * 1000,
        "\ud7ff\U0010ffff\u202e\n" * 100,
        "(" * 50_000 + "\n" * 60,
        ("a@" * 2000 + "\n") * 60,
        ("password=" * 1000 + "\n") * 60,
        ("'" + " " * 5000 + "\n") * 60,
        "x = '" + "A1b2" * 100_000 + "'",
        "\r" * 5000,
        "<" * 100_000,
        "/*" * 100_000,
        '"""' * 33_333,
    ],
)
@pytest.mark.parametrize("path", ["a.py", "a.rs", "a.html", ""])
def test_adversarial_content_gets_one_terminal_verdict(content, path):
    tongue = {"a.py": "Python", "a.rs": "Rust", "a.html": "HTML"}.get(path)
    context = context_of({"run_all_stages": True, "decontamination": {"enabled": False}})
    rows = judge.judge_frame(frame_of(document(content, path, language=tongue)), context)
    assert sum(row["terminal"] for row in rows) == 1


def test_a_stage_that_fails_on_one_document_quarantines_it_alone(monkeypatch):
    broken = judge.STAGES[3]

    def fail(frame, config, context):
        if frame["content"].str.contains("bad", literal=True).any():
            raise ValueError("no")
        return []

    stages = (replace(broken, judge=fail), judge.STAGES[-1])
    monkeypatch.setattr(run_stages, "STAGES", stages)
    rows = judge.judge_frame(frame_of(document("bad"), document("good")), context_of())
    assert sorted(row["reason"] for row in rows) == ["passed", "unreadable"]
    with pytest.raises(ValueError, match="no"):
        judge.judge_frame(frame_of(document("bad")), context_of())


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=60),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 10)), max_size=6),
)
def test_redaction_keeps_what_no_span_covers(content, places):
    spans = [
        Span(min(start, len(content)), min(start + size, len(content)), "#")
        for start, size in places
    ]
    merged = apply.merge_spans(spans)
    assert merged == apply.merge_spans(list(reversed(spans)))
    covered = {i for span in spans for i in range(span.start, span.end)}
    kept = "".join(c for i, c in enumerate(content) if i not in covered)
    assert apply.redact(content, merged).replace("#", "") == kept.replace("#", "")
