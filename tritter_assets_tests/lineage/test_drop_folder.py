from __future__ import annotations

from pathlib import Path

from tritter_assets.lineage.drop_folder import read_requests


def test_reads_yaml_and_json_and_reports_what_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "kind: repo\nvalue: a/b\nreason: asked\nrequested_at: 2026-11-24T06:00:00Z\n"
    )
    (tmp_path / "b.json").write_text(
        '[{"kind": "author", "value": "a@b.example", "reason": "asked",'
        ' "requested_at": "2026-11-24T07:00:00Z"}, {"kind": "id"}]'
    )
    (tmp_path / "c.yml").write_text("{: broken")
    (tmp_path / "d.json").write_bytes(b"\xff\xfe")
    (tmp_path / "e.txt").write_text("not a request")
    (tmp_path / "f.yaml").write_text("!!python/object/apply:os.getcwd []\n")
    requests, problems = read_requests(tmp_path)
    assert [(r.kind, r.value, r.requested_at, r.file) for r in requests] == [
        ("repo", "a/b", "2026-11-24T06:00:00Z", "a.yaml"),
        ("author", "a@b.example", "2026-11-24T07:00:00Z", "b.json"),
    ]
    assert [p.split(":")[0] for p in problems] == ["b.json", "c.yml", "d.json", "f.yaml"]
    assert "value, reason, requested_at" in problems[0]


def test_a_missing_folder_is_an_empty_one(tmp_path: Path) -> None:
    assert read_requests(tmp_path / "none") == ([], [])
