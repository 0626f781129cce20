"""`tritter inspect` on everything it reads, and on what it refuses."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from tritter_assets.cli import main
from tritter_assets.commands import inspect
from tritter_assets.compliance.local_files import inspect_path
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.errors import TritterError
from tritter_assets.settings import load_settings
from tritter_assets.verdict import VERDICT_SCHEMA, Action, Reason, Stage
from tritter_assets_tests.filters.documents import GOOD

ROWS = [
    {"id": "a", "path": "a.py", "content": GOOD},
    {"id": "b", "path": "b.py", "content": "x = 1\n"},
    {"id": "c", "path": "c.py", "content": GOOD + "# ask ada@lovelace.org\n"},
]


def run(capsys: pytest.CaptureFixture[str], path: Path, *options: str) -> dict:
    assert main(["inspect", str(path), "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_settings(None, {}).catalog()


def refusal(catalog: Catalog, path: Path) -> str:
    with pytest.raises(TritterError) as caught:
        inspect_path(path, catalog)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def table(folder: Path, suffix: str) -> Path:
    path = folder / f"rows{suffix}"
    lines = "\n\n".join(json.dumps(row) for row in ROWS).encode()
    if suffix == ".parquet":
        pl.DataFrame(ROWS).write_parquet(path)
    else:
        path.write_bytes(gzip.compress(lines) if suffix.endswith(".gz") else lines)
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".ndjson.gz"])
def test_tables_give_the_same(tmp_path: Path, capsys, suffix: str) -> None:
    found = run(capsys, table(tmp_path, suffix))
    ends = {row["id"]: row["reason"] for row in found["verdicts"] if row["terminal"]}
    assert ends == {"a": "passed", "b": "too_few_lines", "c": "passed"}
    assert (found["num_documents"], found["num_kept"]) == (3, 2)
    assert found["asked_licenses"] is False
    assert found["steps"] == [["start", 3], ["4 length", 2]]
    (redaction,) = [row for row in found["verdicts"] if row["action"] == "redact"]
    start = ROWS[2]["content"].index("ada@")
    assert redaction["spans"] == [{"start": start, "end": start + 16, "replacement": "<EMAIL>"}]


def test_the_json_is_what_help_says(tmp_path: Path, capsys) -> None:
    found = run(capsys, table(tmp_path, ".jsonl"))
    for name in [*found, *found["verdicts"][0]]:
        assert name in inspect.FORMS, f"`tritter inspect --help` says nothing of {name}"
    assert set(found) == {
        "num_documents", "num_kept", "asked_licenses", "skipped", "steps", "verdicts"
    }  # fmt: skip
    for row in found["verdicts"]:
        assert set(row) == {"path"} | set(VERDICT_SCHEMA.names) - {"source", "shard"}
        assert row["action"] in set(Action)
        assert row["reason"] in set(Reason)
        assert row["stage"] in set(Stage)
    order = [(row["path"], row["id"], row["stage_number"]) for row in found["verdicts"]]
    assert order == sorted(order)
    with pytest.raises(SystemExit):
        main(["inspect", "--help"])
    assert inspect.FORMS in capsys.readouterr().out


def test_a_table_with_licences_is_asked_for_them(tmp_path: Path, capsys) -> None:
    rows = pl.DataFrame(ROWS[:2]).with_columns(license_concluded=pl.Series(["MIT", "GPL-3.0-only"]))
    rows.write_ndjson(tmp_path / "x.jsonl")
    found = run(capsys, tmp_path / "x.jsonl")
    assert found["asked_licenses"] is True
    assert run(capsys, tmp_path / "x.jsonl", "--no-license")["asked_licenses"] is False


def test_folder_archive_and_file(tmp_path: Path, capsys) -> None:
    folder = tmp_path / "pack"
    folder.mkdir()
    (folder / "a.py").write_text(GOOD)
    (folder / "b.bin").write_bytes(b"\x00\x01" * 100)
    (folder / "c.txt").write_bytes(b"a" * (9 << 20))
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, f"pack/{file.name}")
    for path in (folder, tmp_path / "pack.zip"):
        found = run(capsys, path, "--no-license")
        assert {row["path"] for row in found["verdicts"]} == {"a.py"}
        assert found["skipped"] == {"binary": 1, "too_large": 1}
    assert run(capsys, folder / "a.py", "--no-license")["num_kept"] == 1


def test_what_cannot_be_read_is_named(tmp_path: Path, catalog) -> None:
    def written(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    whole = json.dumps(ROWS[0])
    (tmp_path / "empty").mkdir()
    assert "holds no text to inspect" in refusal(catalog, tmp_path / "empty")
    assert "(1 binary left out)" in refusal(catalog, written("x.bin", b"\x00\x01" * 50))
    assert "does not exist" in refusal(catalog, tmp_path / "nowhere")
    assert "/proc/self/mem cannot be read" in refusal(catalog, Path("/proc/self/mem"))
    assert "line 2: no JSON" in refusal(catalog, written("a.jsonl", f"{whole}\n{{]\n"))
    assert "line 1: a list" in refusal(catalog, written("b.jsonl", "[1]\n"))
    assert "lacks content and has id, path" in refusal(
        catalog, written("c.jsonl", '{"id": 1, "path": "a"}')
    )
    assert "'content' is a int" in refusal(
        catalog, written("d.jsonl", '{"id": 1, "path": "a", "content": 2}')
    )
    assert "'a' more than once" in refusal(catalog, written("e.jsonl", f"{whole}\n{whole}\n"))
    assert "holds no text" in refusal(catalog, written("f.jsonl", "\n"))
    assert "cannot be read after line" in refusal(catalog, written("g.jsonl.gz", b"\x1f\x8b\x08"))
    assert "cannot be read as Parquet" in refusal(catalog, written("h.parquet", b"PAR1"))
    pl.DataFrame({"id": ["a"], "text": ["x"]}).write_parquet(tmp_path / "i.parquet")
    assert "lacks path, content and has id, text" in refusal(catalog, tmp_path / "i.parquet")
    rows = {"id": ["a"], "path": ["x"], "content": [b"\xff"]}
    pl.DataFrame(rows).write_parquet(tmp_path / "j.parquet")
    assert "'content' is of type Binary" in refusal(catalog, tmp_path / "j.parquet")


def test_a_refusal_is_one_line_and_status_2(tmp_path: Path, capsys) -> None:
    assert main(["inspect", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tritter inspect: ")
    assert error.count("\n") == 1


def test_ids_that_repeat_far_apart_are_found(tmp_path: Path, catalog) -> None:
    rows = [{"id": str(n % 400), "path": f"{n}.py", "content": "x" * 50_000} for n in range(401)]
    (tmp_path / "x.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    assert "400 ids for 401 documents, '0' more than once" in refusal(catalog, tmp_path / "x.jsonl")


def test_half_a_surrogate_and_absent_text_are_no_crash(tmp_path: Path, capsys) -> None:
    lines = '{"id": 1, "path": null, "content": "\\ud800"}\n{"id": 2, "path": "", "content": null}'
    (tmp_path / "x.jsonl").write_text(lines)
    assert run(capsys, tmp_path / "x.jsonl")["num_documents"] == 2
