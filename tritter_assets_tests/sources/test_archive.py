from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from tritter_assets.errors import UnsafeArchive
from tritter_assets.sources.archive import read_archive
from tritter_assets.sources.archive_tree import index_archive, member_contents, planned_files
from tritter_assets.sources.loader import Limits
from tritter_assets_tests.sources.builders import SMALL_TREE, sha256, tar_gz


def _member(name: str, kind: bytes = tarfile.REGTYPE, **facts: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for key, value in facts.items():
        setattr(info, key, value)
    return info


def _read(tmp_path: Path, raw: bytes, limits: Limits | None = None, form: str = "tar.gz") -> list:
    path = tmp_path / f"a.{form}"
    path.write_bytes(raw)
    return list(read_archive(path, form, limits or Limits()))


def test_members_come_in_stored_order_with_their_bytes(tmp_path: Path) -> None:
    found = _read(tmp_path, tar_gz(SMALL_TREE, top="top"))
    assert [m.path for m in found] == [f"top/{name}" for name in SMALL_TREE]
    assert [m.content for m in found] == list(SMALL_TREE.values())
    assert [m.ordinal for m in found] == list(range(len(found)))


@pytest.mark.parametrize("form", ["tar", "tar.bz2", "tar.xz"])
def test_other_compressions(tmp_path: Path, form: str) -> None:
    out = io.BytesIO()
    mode = {"tar": "w", "tar.bz2": "w:bz2", "tar.xz": "w:xz"}[form]
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(_member("a/x.py", size=2), io.BytesIO(b"hi"))
    assert [(m.path, m.content) for m in _read(tmp_path, out.getvalue(), form=form)] == [
        ("a/x.py", b"hi")
    ]


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (_member("../evil.py", size=1), "leaves"),
        (_member("a/../../evil.py", size=1), "leaves"),
        (_member("a\\..\\evil.py", size=1), "leaves"),
        (_member("/etc/passwd", size=1), "absolute"),
        (_member("C:/x.py", size=1), "absolute"),
        (_member("a/link", tarfile.SYMTYPE, linkname="/etc/passwd"), "link"),
        (_member("a/hard", tarfile.LNKTYPE, linkname="a/x"), "link"),
        (_member("a/dev", tarfile.CHRTYPE), "neither"),
        (_member("a/pipe", tarfile.FIFOTYPE), "neither"),
        (_member("a/sparse", tarfile.GNUTYPE_SPARSE), "sparse"),
    ],
)
def test_dangerous_members_refuse_the_archive(
    tmp_path: Path, member: tarfile.TarInfo, said: str
) -> None:
    with pytest.raises(UnsafeArchive, match=said):
        _read(tmp_path, tar_gz({"ok.py": b"1"}, extra=(member,)))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(members=3), "more than 3 members"),
        (Limits(member_bytes=20), "the limit is 20"),
        (Limits(total_bytes=4096), "more than 4096 bytes"),
        (Limits(compression_ratio=2, ratio_floor_bytes=100), "ratio above 2"),
    ],
)
def test_each_limit_holds(tmp_path: Path, limits: Limits, said: str) -> None:
    with pytest.raises(UnsafeArchive, match=said):
        _read(tmp_path, tar_gz(SMALL_TREE), limits)


def test_a_bomb_is_stopped_before_it_unfolds(tmp_path: Path) -> None:
    raw = tar_gz({}, extra=(_member("zeros", size=64 << 20),))
    assert len(raw) < 100_000
    with pytest.raises(UnsafeArchive, match="ratio"):
        _read(tmp_path, raw, Limits(ratio_floor_bytes=1 << 20))


def test_a_huge_header_is_refused(tmp_path: Path) -> None:
    info = _member("x", tarfile.XHDTYPE, size=8 << 20)
    packed = gzip.compress(info.tobuf(tarfile.USTAR_FORMAT) + b"\0" * (8 << 20))
    with pytest.raises(UnsafeArchive, match="header"):
        _read(tmp_path, packed)


@pytest.mark.parametrize("cut", [30, 200])
def test_damage_is_told_apart_from_absence(tmp_path: Path, cut: int) -> None:
    raw = tar_gz(SMALL_TREE)
    with pytest.raises(UnsafeArchive, match=r"damaged|cannot be read"):
        _read(tmp_path, raw[:-cut] if cut > 100 else b"not an archive at all" * cut)


def _zip(entries: dict[str, bytes], attributes: int = 0) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = attributes << 16
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def test_zip_rules(tmp_path: Path) -> None:
    assert [m.content for m in _read(tmp_path, _zip({"a/b.py": b"1"}), form="zip")] == [b"1"]
    with pytest.raises(UnsafeArchive, match="leaves"):
        _read(tmp_path, _zip({"../b.py": b"1"}), form="zip")
    with pytest.raises(UnsafeArchive, match="link"):
        _read(tmp_path, _zip({"l": b"/etc"}, 0o120777), form="zip")
    with pytest.raises(UnsafeArchive, match="ratio"):
        _read(tmp_path, _zip({"z": b"\0" * (20 << 20)}), form="zip")


def test_index_strips_the_shared_top_and_keeps_evidence(tmp_path: Path) -> None:
    raw = tar_gz(SMALL_TREE)
    path = tmp_path / "s.tar.gz"
    path.write_bytes(raw)
    index = index_archive(path, "tar.gz", sha256(raw), Limits())
    assert [m.path for m in index.members] == sorted(SMALL_TREE)
    assert set(index.texts) == {"PKG-INFO", "LICENSE", "vendor/crate/Cargo.toml"}
    again = index_archive(path, "tar.gz", sha256(raw), Limits())
    assert again == index
    files = planned_files(index, ("src/**",), ("**/*.bin",))
    contents = dict(member_contents(path, "tar.gz", index, files, Limits()))
    assert contents == {f.name: SMALL_TREE[f.name] for f in files}


def test_of_a_repeated_path_the_last_counts(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for content in (b"old", b"new"):
            archive.addfile(_member("t/x.py", size=3), io.BytesIO(content))
    path = tmp_path / "s.tar.gz"
    path.write_bytes(out.getvalue())
    index = index_archive(path, "tar.gz", "0" * 64, Limits())
    files = planned_files(index, ("**",))
    assert dict(member_contents(path, "tar.gz", index, files, Limits())) == {"x.py": b"new"}
