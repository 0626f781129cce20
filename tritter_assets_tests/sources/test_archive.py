from __future__ import annotations

import gzip
import io
import lzma
import shutil
import subprocess
import tarfile
import zipfile
import zlib
from pathlib import Path

import pyarrow as pa
import pytest

from tritter_assets.errors import UnsafeArchive
from tritter_assets.sources.archive import read_archive
from tritter_assets.sources.archive_tree import index_archive, member_contents, planned_files
from tritter_assets.sources.loader import Limits
from tritter_assets_tests.sources.builders import SMALL_TREE, ar, deb, sha256, tar_gz


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


def _compressed(tar: bytes, name: str) -> bytes:
    if name.endswith(".zst"):
        return pa.compress(tar, "zstd", asbytes=True)
    return {"tar": bytes, "gz": gzip.compress, "xz": lzma.compress}[name.rpartition(".")[2]](tar)


@pytest.mark.parametrize("name", ["data.tar", "data.tar.gz", "data.tar.xz", "data.tar.zst"])
def test_files_of_a_debian_package(tmp_path: Path, name: str) -> None:
    link = _member("./usr/link", tarfile.SYMTYPE, linkname="/etc/passwd")
    tar = gzip.decompress(tar_gz({"usr/share/a.html": b"text"}, top=".", extra=(link,)))
    found = _read(tmp_path, deb(_compressed(tar, name), name), form="deb")
    assert [(m.path, m.content) for m in found] == [("./usr/share/a.html", b"text")]


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"no package", "no Debian package"),
        (ar(("debian-binary", b"2.0\n")), "no data.tar"),
        (ar(*[("x", b"1")] * 40, ("data.tar", b"")), "no data.tar"),
        (deb(b"short" * 9)[:-30], "ends behind the file"),
        (deb(b"not a tar" * 99), r"damaged|cannot be read"),
        (deb(tar_gz({}, extra=(_member("../evil", size=1),))), "leaves"),
        (deb(tar_gz({}, extra=(_member("dev", tarfile.CHRTYPE),))), "neither"),
        (deb(tar_gz({}, extra=(_member("zeros", size=32 << 20),))), "ratio"),
        (deb(lzma.compress(b"x" * 4096)[:-40], "data.tar.xz"), r"damaged|cannot be read"),
        (deb(pa.compress(b"\0" * 4096, "zstd", asbytes=True)[:-8], "data.tar.zst"),
         r"damaged|cannot be read"),
    ],
    ids=range(10),
)  # fmt: skip
def test_bad_debian_packages_are_refused(tmp_path: Path, raw: bytes, said: str) -> None:
    with pytest.raises(UnsafeArchive, match=said):
        _read(tmp_path, raw, form="deb")


@pytest.mark.network
def test_a_real_debian_package(tmp_path: Path) -> None:
    if shutil.which("apt-get") is None:
        pytest.skip("apt-get is Debian's")
    command = ["apt-get", "download", "zlib1g-dev"]
    fetched = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    found = next(tmp_path.glob("*.deb"), None)
    if found is None:
        pytest.skip(f"apt-get gives no package: {fetched.stderr[-200:]!r}")
    members = {m.path: m.content for m in read_archive(found, "deb", Limits())}
    assert b"ZLIB_VERSION" in members["./usr/include/zlib.h"]
    assert "./usr/share/doc/zlib1g-dev/copyright" in members  # beside it links, passed over


def test_an_xz_stream_may_not_ask_for_any_memory(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 << 20, "mode": lzma.MODE_FAST,
                "mf": lzma.MF_HC3, "nice_len": 3, "depth": 1}]  # fmt: skip
    # The header names the dictionary; writing one would take the memory that reading refuses.
    small = lzma.compress(
        gzip.decompress(tar_gz(SMALL_TREE)), filters=[filters[0] | {"dict_size": 4096}]
    )
    head = bytearray(small[:24])
    at = head.index(bytes([0x21, 0x01])) + 2
    head[at] = 36  # 2**29 bytes and more
    head[12 + (head[12] + 1) * 4 - 4 :] = zlib.crc32(
        head[12 : 12 + (head[12] + 1) * 4 - 4]
    ).to_bytes(4, "little")
    with pytest.raises(UnsafeArchive, match=r"[Mm]emory"):
        _read(tmp_path, bytes(head) + small[24:], form="tar.xz")


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
