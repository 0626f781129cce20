from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tritter_assets.contracts.source import FileOrigin, LicenceFacts
from tritter_assets.record import Modality
from tritter_assets.sources.file import FileLoader
from tritter_assets.sources.loader import Limits, Skipped
from tritter_assets_tests.sources.builders import context_of, contract_of
from tritter_assets_tests.sources.mapping_cases import CASES, Case

GOLDEN = Path(__file__).with_name("golden_mapping.json")
_NAMED = [(name, kind) for name, case in CASES.items() for kind in case.formats]


def encode(case: Case, kind: str) -> bytes:
    if kind == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in case.rows).encode() + b'{"broken": \n'
    if kind == "csv":
        return pl.DataFrame(case.rows).write_csv().encode()
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(case.rows), out, row_group_size=3)
    return out.getvalue()


def mapped(folder: Path, name: str, kind: str, **limits: Any) -> dict[str, Any]:
    """What the rows of a case become: documents, and why there is none."""
    case = CASES[name]
    (folder / f"rows.{kind}").write_bytes(encode(case, kind))
    contract = contract_of(
        FileOrigin(path=f"rows.{kind}", file_format=kind),
        columns=case.columns,
        modality=case.modality,
        languages=case.languages,
        licence=LicenceFacts(row_column=case.row_column),
    )
    limits = {"document_bytes": 300} | limits
    context = context_of(folder, limits=Limits(**limits))
    files = FileLoader().plan(contract, context)
    frames = FileLoader().read(contract, files, context)
    rows = [
        {k: v.hex() if isinstance(v, bytes) else v for k, v in row.items() if v is not None}
        for frame in frames
        for row in frame.iter_rows(named=True)
    ]
    skips = [f"{reason}: {where}" for reason, where in sorted(context.skips.examples)]
    return {"rows": rows, "skips": skips}


@pytest.mark.parametrize(("name", "kind"), _NAMED)
def test_rows_are_mapped_as_written_down(tmp_path: Path, name: str, kind: str) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    assert mapped(tmp_path, name, kind) == golden[f"{name}.{kind}"]


@pytest.mark.parametrize(("name", "kind"), _NAMED)
def test_the_size_of_frames_does_not_show(tmp_path: Path, name: str, kind: str) -> None:
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    found = mapped(tmp_path, name, kind, frame_rows=2, frame_bytes=10)
    assert found == golden[f"{name}.{kind}"]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_row_has_the_language_of_its_own_path_and_never_of_its_file(
    tmp_path: Path, kind: str
) -> None:
    rows = pl.DataFrame({"text": ["a", "b", "c"], "name": ["x.py", None, "notes"]})
    (tmp_path / f"rows.{kind}").write_bytes(
        rows.write_ndjson().encode() if kind == "jsonl" else rows.write_csv().encode()
    )
    found = {}
    for languages in ((), ("rust", "python"), ("rust",)):
        contract = contract_of(
            FileOrigin(path=f"rows.{kind}", file_format=kind),
            columns={"content": "text", "path": "name"},
            languages=languages,
        )
        context = context_of(tmp_path)
        files = FileLoader().plan(contract, context)
        (frame,) = FileLoader().read(contract, files, context)
        found[languages] = frame["language"].to_list()
    assert found == {
        (): ["python", None, None],
        ("rust", "python"): ["python", None, None],
        ("rust",): ["rust", "rust", "rust"],
    }


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
@pytest.mark.parametrize("modality", [Modality.CODE, Modality.INSTRUCTION])
def test_a_row_that_gives_no_document_is_listed_with_its_place(
    tmp_path: Path, kind: str, modality: Modality
) -> None:
    rows = [
        {"text": "", "name": "a.py", "by": "https://github.com/o/r", "at": "v1", "chat": None},
        {"text": "", "name": None, "by": None, "at": None, "chat": None},
        {"text": "kept", "name": "b.py", "by": "o/r", "at": "v1", "chat": None},
    ]
    if modality is Modality.INSTRUCTION:  # a dialogue makes the batch go row by row
        rows[2] |= {"text": "", "chat": [{"role": "user", "content": "q"},
                                         {"role": "assistant", "content": "a"}]}  # fmt: skip
    table = pa.Table.from_pylist(rows)
    if kind == "jsonl":
        (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        pq.write_table(table, tmp_path / "rows.parquet")
    contract = contract_of(
        FileOrigin(path=f"rows.{kind}", file_format=kind),
        columns={"content": "text", "path": "name", "repo": "by", "revision": "at"}
        | ({"instruction": "chat"} if modality is Modality.INSTRUCTION else {}),
        modality=modality,
    )
    events: list[Skipped] = []
    context = context_of(tmp_path)
    context.skips.sink = events.append
    files = FileLoader().plan(contract, context)
    list(FileLoader().read(contract, files, context))
    places = [(event.where, event.repo, event.path, event.revision) for event in events]
    assert places == [
        (f"rows.{kind}#0", "o/r", "a.py", "v1"),
        (f"rows.{kind}#1", "file/small", f"rows.{kind}#1", "local"),
    ]
