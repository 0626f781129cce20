from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tritter_assets.contracts.row_filter import RowFilter
from tritter_assets.contracts.source import HubOrigin, LicenceFacts, SourceContract
from tritter_assets.errors import UpstreamChanged, UpstreamUnavailable
from tritter_assets.sources.hub import HubLoader
from tritter_assets.sources.hub_client import HubClient, Listing
from tritter_assets.sources.ingest import upstream_digest
from tritter_assets_tests.sources.builders import context_of, contract_of
from tritter_assets_tests.sources.servers import HubServer

COMMIT = "a" * 40
REPO = "org/data"
CARD = """---
license: mit
configs:
- config_name: python
  data_files:
  - {split: train, path: python/train-*}
  - {split: test, path: python/test-*}
- config_name: rust
  data_dir: rust
---
# Data
"""


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=2)
    return out.getvalue()


def _rows(label: str, count: int = 5) -> list[dict[str, Any]]:
    return [
        {"text": f"{label} {n}\n", "repo": f"o{n}/r", "lic": ["MIT", "ISC"], "noise": "x" * 1000}
        for n in range(count)
    ]


FILES = {
    "README.md": CARD.encode(),
    "script.py": b"raise SystemExit('a loading script must never run')",
    "python/train-00000-of-00002.parquet": _parquet(_rows("py0")),
    "python/train-00001-of-00002.parquet": _parquet(_rows("py1")),
    "python/test-00000-of-00001.parquet": _parquet(_rows("pytest")),
    "rust/train.parquet": _parquet(_rows("rs")),
    "rust/validation.parquet": _parquet(_rows("rsval")),
}


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses the client would have made."""
    found: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", found.append)
    monkeypatch.setenv("HF_TOKEN_PATH", "/nonexistent")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    return found


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer(REPO, COMMIT, FILES).running() as server:
        yield server


def _loader(server: HubServer, token: str | bool = False) -> HubLoader:
    return HubLoader(client=HubClient(endpoint=server.url, token=token))


def _contract(**origin: Any) -> SourceContract:
    facts = {"repo": REPO, "revision": COMMIT, "config": "python"} | origin
    return contract_of(
        HubOrigin(**facts),
        columns={"content": "text", "repo": "repo"},
        licence=LicenceFacts(row_column="lic"),
        languages=("python",),
    )


def _read(loader: HubLoader, contract: SourceContract, context: Any) -> pl.DataFrame:
    return pl.concat(loader.read(contract, loader.plan(contract, context), context))


def test_rows_carry_file_position_and_licence(hub: HubServer, tmp_path: Path) -> None:
    rows = _read(_loader(hub), _contract(), context_of(tmp_path))
    assert rows.height == 10
    assert rows.row(0, named=True) == {
        "repo": "o0/r",
        "path": "python/train-00000-of-00002.parquet#0",
        "revision": COMMIT,
        "url": f"https://huggingface.co/datasets/{REPO}/blob/{COMMIT}/"
        "python/train-00000-of-00002.parquet",
        "language": "python",
        "modality": "code",
        "split": "train",
        "content": "py0 0\n",
        "license_declared": "MIT AND ISC",
        "owner": "o0",
    }


@pytest.mark.parametrize(
    ("origin", "wanted"),
    [
        ({}, ["python/train-00000-of-00002.parquet", "python/train-00001-of-00002.parquet"]),
        ({"split": "test"}, ["python/test-00000-of-00001.parquet"]),
        ({"config": "rust"}, ["rust/train.parquet"]),
        ({"config": "rust", "split": "validation"}, ["rust/validation.parquet"]),
        ({"config": None, "data_dir": "rust"}, ["rust/train.parquet"]),
        ({"config": None, "data_files": ("rust/*.parquet",)},
         ["rust/train.parquet", "rust/validation.parquet"]),
    ],
)  # fmt: skip
def test_files_of_a_config_and_split(
    hub: HubServer, tmp_path: Path, origin: dict[str, Any], wanted: list[str]
) -> None:
    files = _loader(hub).plan(_contract(**origin), context_of(tmp_path))
    assert [file.name for file in files] == wanted
    assert all(len(file.digest) == 64 for file in files)


def test_an_unknown_config_lists_what_there_is(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(UpstreamUnavailable, match="names the configs python, rust"):
        _loader(hub).plan(_contract(config="go"), context_of(tmp_path))


def test_a_pinned_listing_is_cached(hub: HubServer, tmp_path: Path) -> None:
    loader, contract = _loader(hub), _contract()
    first = upstream_digest(
        contract, "000", cache=tmp_path / "cache", project_root=tmp_path, loader=loader
    )
    assert sum("/tree/" in path for path in hub.requests) == 4  # 7 files, two on a page
    hub.requests.clear()
    again = upstream_digest(
        contract, "000", cache=tmp_path / "cache", project_root=tmp_path, loader=loader
    )
    assert (again, hub.requests) == (first, [])


def test_an_unpinned_revision_is_resolved_and_not_cached(hub: HubServer, tmp_path: Path) -> None:
    rows = _read(_loader(hub), _contract(revision="unpinned"), context_of(tmp_path))
    assert set(rows["revision"]) == {COMMIT}
    assert not (tmp_path / "cache" / "hub").exists()


def test_only_the_mapped_columns_travel(tmp_path: Path) -> None:
    import random

    noise = random.Random(0).randbytes(6 << 20).hex()
    row = {"text": "x = 1\n", "repo": "a/b", "lic": "MIT", "noise": noise}
    files = {"data.parquet": _parquet([row]), "README.md": b""}
    with HubServer(REPO, COMMIT, files).running() as server:
        sent = _count_bytes(server)
        rows = _read(_loader(server), _contract(config=None), context_of(tmp_path))
    assert rows["content"].to_list() == ["x = 1\n"]
    assert sum(sent) < 2 * len(noise)


def _count_bytes(server: HubServer) -> list[int]:
    sent: list[int] = []
    answer = server._ranged

    def counted(content: bytes, request: Any) -> Any:
        found = answer(content, request)
        sent.append(len(found[1]))
        return found

    server._ranged = counted  # type: ignore[method-assign]
    return sent


@pytest.mark.parametrize("fault", ["429", "500", "503", "truncate", "short"])
@pytest.mark.parametrize("where", ["/tree/", "/resolve/", "/cdn/python"])
def test_passing_faults_lose_and_double_nothing(
    hub: HubServer, tmp_path: Path, fault: str, where: str
) -> None:
    if fault == "short" and where != "/cdn/python":
        pytest.skip("a short body with a matching length can only be seen by its range")
    hub.faults.plan[where] = [fault]
    rows = _read(_loader(hub), _contract(), context_of(tmp_path))
    assert rows["content"].to_list() == [f"py{f} {n}\n" for f in range(2) for n in range(5)]


def test_a_server_without_ranges_works(hub: HubServer, tmp_path: Path) -> None:
    hub.ignore_ranges = True
    assert _read(_loader(hub), _contract(), context_of(tmp_path)).height == 10


def test_a_gate_says_which_agreement_and_how_to_log_in(hub: HubServer, tmp_path: Path) -> None:
    hub.gate = "GatedRepo"
    with pytest.raises(
        UpstreamUnavailable, match=r"accept the agreement at .*datasets/org/data.*hf auth login"
    ):
        _loader(hub).plan(_contract(), context_of(tmp_path))
    hub.gate = "RepoNotFound"
    with pytest.raises(UpstreamUnavailable, match=r"private.*HF_TOKEN"):
        _loader(hub).plan(_contract(), context_of(tmp_path))


def test_a_token_opens_the_gate_and_stays_out_of_outputs(hub: HubServer, tmp_path: Path) -> None:
    hub.gate = "GatedRepo"
    rows = _read(_loader(hub, token="hf_secret"), _contract(), context_of(tmp_path))
    assert rows.height == 10
    assert "hf_secret" not in str(rows.to_dicts())


def test_a_missing_revision_or_folder_is_told(hub: HubServer, tmp_path: Path) -> None:
    with pytest.raises(UpstreamUnavailable, match="no such revision"):
        _loader(hub).plan(_contract(revision="b" * 40), context_of(tmp_path))
    with pytest.raises(UpstreamUnavailable, match="no such file or folder"):
        _loader(hub).plan(_contract(data_dir="absent"), context_of(tmp_path))


def test_a_renamed_column_is_a_change_upstream(hub: HubServer, tmp_path: Path) -> None:
    contract = dataclasses.replace(_contract(), columns={"content": "body"})
    with pytest.raises(UpstreamChanged, match="no column 'body'; it has text"):
        _read(_loader(hub), contract, context_of(tmp_path))


def test_a_file_of_another_size_is_a_change_upstream(hub: HubServer, tmp_path: Path) -> None:
    loader, context = _loader(hub), context_of(tmp_path)
    files = loader.plan(_contract(), context)
    hub.files = FILES | {files[0].name: FILES[files[0].name] + b"more"}
    with pytest.raises(UpstreamChanged, match="its listing says"):
        pl.concat(loader.read(_contract(), files, context))


def test_an_unpinned_repository_may_not_move_under_a_run(hub: HubServer, tmp_path: Path) -> None:
    loader, context, contract = _loader(hub), context_of(tmp_path), _contract(revision="unpinned")
    files = loader.plan(contract, context)
    raw = FILES[files[0].name]
    hub.files = FILES | {files[0].name: raw[:-1] + b"?"}
    with pytest.raises(UpstreamChanged, match="between the plan and now"):
        pl.concat(loader.read(contract, files, context))


def test_tar_files_become_documents(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, raw in {"a/x.py": b"x = 1\n", "a/b.png": b"\0"}.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    with HubServer(REPO, COMMIT, {"d/train.tar": out.getvalue()}).running() as server:
        context = context_of(tmp_path)
        rows = _read(_loader(server), _contract(config=None, file_format="tar"), context)
    assert rows.select("path", "content").rows() == [("d/train.tar/a/x.py", "x = 1\n")]


def test_the_token_stays_with_the_host_it_is_for(hub: HubServer, tmp_path: Path) -> None:
    """The Hub sends readers on to a store elsewhere, whose address carries its own signature."""
    with HubServer(REPO, COMMIT, FILES).running() as store:
        hub.gate, hub.store = "GatedRepo", store.url
        rows = _read(_loader(hub, token="hf_secret"), _contract(), context_of(tmp_path))
    assert rows.height == 10
    assert set(hub.authorizations) == {"Bearer hf_secret"}
    assert store.requests
    assert set(store.authorizations) == {None}


def test_a_gate_that_shuts_after_the_plan_is_told(hub: HubServer, tmp_path: Path) -> None:
    loader, context = _loader(hub), context_of(tmp_path)
    files = loader.plan(_contract(), context)
    hub.gate = "GatedRepo"
    with pytest.raises(UpstreamUnavailable, match=r"train-00000.*accept the agreement at"):
        pl.concat(loader.read(_contract(), files, context))


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("401", "log in with `hf auth login` or set HF_TOKEN"),
        ("403", "your account may not read it: accept the terms at https://huggingface.co"),
        ("404", "its bytes are gone"),
        ("429", "the rate limit holds"),
        ("500", "HTTP 500; try again later"),
        ("503", "HTTP 503; try again later"),
    ],
)
def test_a_fault_that_stays_says_what_to_do(
    hub: HubServer, tmp_path: Path, code: str, advice: str
) -> None:
    hub.faults.plan["/cdn/python"] = [code] * 50
    with pytest.raises(UpstreamUnavailable, match=rf"org/data@{COMMIT}: python/train.*{advice}"):
        _read(_loader(hub), _contract(), context_of(tmp_path))


def test_the_client_waits_as_long_as_it_is_told(
    hub: HubServer, tmp_path: Path, waits: list[float]
) -> None:
    hub.faults.plan["/cdn/python"] = ["429", "429"]
    assert _read(_loader(hub), _contract(), context_of(tmp_path)).height == 10
    assert len(waits) == 2
    assert min(waits) >= 7


def test_a_redirect_without_end_is_told(hub: HubServer, tmp_path: Path) -> None:
    hub.endless = True
    with pytest.raises(UpstreamUnavailable, match=r"could not be reached \(TooManyRedirects"):
        _read(_loader(hub), _contract(), context_of(tmp_path))


def test_bodies_that_stay_short_are_told(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.plan["/cdn/python"] = ["short"] * 3
    with pytest.raises(UpstreamUnavailable, match=r"answers \d+ bytes to a request for \d+, 3"):
        _read(_loader(hub), _contract(), context_of(tmp_path))


def test_bytes_that_are_not_the_file_are_told(hub: HubServer, tmp_path: Path) -> None:
    hub.faults.plan["/cdn/python"] = ["corrupt"]
    with pytest.raises(UpstreamChanged, match="has the digest"):
        _read(_loader(hub), _contract(), context_of(tmp_path))


@pytest.mark.parametrize("stored", ["git", "lfs"])
def test_lines_changed_on_the_way_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stored: str
) -> None:
    raw = b"".join(b'{"text": "line %d"}\n' % n for n in range(5))
    contract = dataclasses.replace(
        _contract(config=None, file_format="jsonl"),
        columns={"content": "text"},
        licence=LicenceFacts(),
    )
    with HubServer(REPO, COMMIT, {"d.jsonl": raw}).running() as server:
        loader, context = _loader(server), context_of(tmp_path)
        (file,) = loader.plan(contract, context)
        if stored == "lfs":
            file = dataclasses.replace(file, digest=hashlib.sha256(raw).hexdigest())
        listing = Listing(COMMIT, (file,), "")
        monkeypatch.setattr(HubClient, "listing", lambda *_, **__: listing)
        assert pl.concat(loader.read(contract, (file,), context)).height == 5
        server.files = {"d.jsonl": raw.replace(b"line 3", b"line 4")}
        with pytest.raises(UpstreamChanged, match=rf"d\.jsonl has the digest .*{file.digest}"):
            list(loader.read(contract, (file,), context))


def test_rows_of_several_repositories_keep_all_of_them(tmp_path: Path) -> None:
    names = ["a/x", "a/x,b/y,c/z", "not,a/list of repos", "https://github.com/Own/n"]
    raw = _parquet([{"text": f"t{n}\n", "repo": name, "lic": []} for n, name in enumerate(names)])
    with HubServer(REPO, COMMIT, {"d.parquet": raw}).running() as server:
        rows = _read(_loader(server), _contract(config=None), context_of(tmp_path))
    assert rows.select("repo", "owner").rows() == [
        ("a/x", "a"),
        ("a/x", "a,b/y,c/z"),
        ("not,a/list of repos", "not,a"),
        ("Own/n", "Own"),
    ]


def test_a_row_filter_reads_columns_that_nothing_maps(hub: HubServer, tmp_path: Path) -> None:
    rules = RowFilter(where={"repo": ("o1/r", "o3/r")}, where_not={"noise": ("none",)})
    contract = dataclasses.replace(
        _contract(), row_filter=rules, columns={"content": "text"}, licence=LicenceFacts()
    )
    context = context_of(tmp_path)
    rows = _read(_loader(hub), contract, context)
    assert rows["content"].to_list() == ["py0 1\n", "py0 3\n", "py1 1\n", "py1 3\n"]
    assert rows["path"].str.split("#").list.last().to_list() == ["1", "3", "1", "3"]
    assert context.skips.counts == {"not_selected": 6}
