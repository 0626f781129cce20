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
from tritter_assets.sources.file import FileLoader
from tritter_assets.sources.loader import Limits
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
