from __future__ import annotations

import os
import time
from pathlib import Path

from tritter_assets.lineage.drop_folder import read_requests, set_aside

GOOD = "kind: repo\nvalue: https://github.com/a/b.git\nreason: asked\n" + (
    "requested_at: 2026-11-24T06:00:00Z\n"
)


def test_reads_yaml_and_json_and_reports_what_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.json").write_text(
        '[{"kind": "author", "value": "a@b.example", "reason": "asked",'
        ' "requested_at": "2026-11-24T07:00:00Z"}, {"kind": "id"},'
        ' {"kind": "sha256", "value": "abc", "reason": "asked",'
        ' "requested_at": "2026-11-24T07:00:00Z"}]'
    )
    (tmp_path / "c.yml").write_text("{: broken")
    (tmp_path / "d.json").write_bytes(b"\xff\xfe")
    (tmp_path / "e.txt").write_text("not a request")
    (tmp_path / "f.yaml").write_text("!!python/object/apply:os.getcwd []\n")
    (tmp_path / "g.yaml").write_text("")
    found = read_requests(tmp_path)
    assert [(r.kind, r.value, r.requested_at) for r in found.requests] == [
        ("repo", "a/b", "2026-11-24T06:00:00Z"),
        ("author", "a@b.example", "2026-11-24T07:00:00Z"),
    ]
    assert list(found.problems) == ["b.json", "c.yml", "d.json", "f.yaml", "g.yaml"]
    assert "value, reason, requested_at" in found.lines[0]
    assert "give 64 hexadecimal digits" in found.lines[1]


def test_a_bad_file_is_set_aside_with_its_reason_once_it_is_no_longer_written(
    tmp_path: Path,
) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    bad = tmp_path / "bad.yaml"
    bad.write_text("kind: planet\nvalue: x\nreason: y\nrequested_at: 2026-11-24T06:00:00Z\n")
    assert set_aside(tmp_path, read_requests(tmp_path)) == ()
    earlier = time.time() - 60
    os.utime(bad, (earlier, earlier))
    assert set_aside(tmp_path, read_requests(tmp_path)) == ("bad.yaml",)
    assert "planet" in (tmp_path / "rejected" / "bad.yaml.why.txt").read_text()
    assert (tmp_path / "rejected" / "bad.yaml").exists()
    left = read_requests(tmp_path)
    assert (len(left.requests), left.problems) == (1, {})


def test_a_missing_folder_is_an_empty_one(tmp_path: Path) -> None:
    found = read_requests(tmp_path / "none")
    assert (found.requests, found.problems) == ((), {})
