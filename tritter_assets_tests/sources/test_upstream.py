from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.contracts.crate_origin import CrateOrigin, CratePin
from tritter_assets.contracts.policy import load_policy
from tritter_assets.contracts.policy_model import Decision, DecisionKind
from tritter_assets.contracts.source import (
    HubOrigin,
    LicenceFacts,
    SdistOrigin,
    SourceContract,
    UpstreamClaim,
)
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.lake import Lake
from tritter_assets.sources.drift import Assessment, assess, blocked_sources
from tritter_assets.sources.upstream import (
    at_kept_revision,
    observe_now,
    pinned_revision,
    read_observations,
    settle,
)
from tritter_assets.sources.upstream_crates import look_at_crates
from tritter_assets.sources.upstream_hub import card_license
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.sources.builders import PKG_INFO, contract_of, sha256, tar_gz
from tritter_assets_tests.sources.crate_registry import CrateRegistry
from tritter_assets_tests.sources.moving_hub import (
    FIRST,
    ROWS,
    SECOND,
    MovingHub,
    card,
    files,
)
from tritter_assets_tests.sources.servers import IndexServer

REPO = "org/data"
DAY = datetime(2026, 11, 24, tzinfo=UTC)
POLICY = load_policy(REPOSITORY / "data_contracts" / "policy", today=DAY.date())


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    monkeypatch.setenv("HF_TOKEN_PATH", "/nonexistent")
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[MovingHub]:
    with MovingHub(REPO, files()).running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake.at(tmp_path / "lake")


def _contract(revision: str = FIRST, **changes: Any) -> SourceContract:
    licence = LicenceFacts(row_column="lic", wrapper="MIT")
    facts: dict[str, Any] = {
        "columns": {"content": "text", "repo": "repo"},
        "licence": licence,
        "num_shards": 2,
    }
    return contract_of(HubOrigin(repo=REPO, revision=revision), **(facts | changes))


def _ingest(lake: Lake, contract: SourceContract, folder: Path) -> str:
    settled, _ = settle(contract, lake, cache=folder, project_root=folder, now=DAY)
    assert isinstance(settled.origin, HubOrigin)
    return settled.origin.revision


def _look(lake: Lake, contract: SourceContract, folder: Path) -> Assessment:
    observe_now(contract, lake, cache=folder, project_root=folder, now=DAY.replace(hour=5))
    return _assessed(lake, contract)


def _assessed(lake: Lake, contract: SourceContract, policy: Any = POLICY) -> Assessment:
    return assess(contract, read_observations(lake, contract.id), policy, "brief")


def _levels(found: Assessment) -> dict[str, str]:
    return {drift.field: drift.level.value for drift in found.drifts}


def test_facts_of_a_commit_are_stored_once(hub: MovingHub, lake: Lake, tmp_path: Path) -> None:
    contract = _contract()
    _ingest(lake, contract, tmp_path)
    (seen,) = read_observations(lake, "small")
    assert seen.observer == FIRST
    assert seen.observed_at == "2026-11-24T00:00:00Z"
    assert dataclasses.asdict(seen.facts) == {
        "revision": FIRST,
        "license_tag": "mit",
        "gate": "none",
        "readme_sha256": sha256(card()),
        "columns": {"lic": "string", "repo": "string", "text": "string"},
        "num_files": 2,
        "size_bytes": sum(len(raw) for name, raw in hub.files.items() if "data/" in name),
        "last_modified": "2026-11-20T10:00:00Z",
        "status": "ok",
        "note": "",
        "newest": FIRST,
    }
    version = lake.table_version("upstream/small")
    hub.requests.clear()
    _ingest(lake, contract, tmp_path)
    assert lake.table_version("upstream/small") == version
    assert hub.requests == []
    assert len(read_observations(lake, "small")) == 1
    assert _assessed(lake, contract).drifts == ()


def test_shards_of_an_unpinned_source_share_the_first_revision(
    hub: MovingHub, lake: Lake, tmp_path: Path
) -> None:
    contract = _contract("unpinned")
    assert _ingest(lake, contract, tmp_path) == FIRST
    hub.push(SECOND, files(card(text="Now with more.")))
    assert _ingest(lake, contract, tmp_path) == FIRST
    assert at_kept_revision(lake, contract).origin == dataclasses.replace(
        contract.origin, revision=FIRST
    )
    found = _look(lake, contract, tmp_path)
    assert _levels(found) == {"pin": "warning", "README": "warning", "newer revision": "info"}
    assert "tritter pin small --write" in found.summary()
    repinned = _contract(SECOND)
    assert _ingest(lake, repinned, tmp_path) == SECOND
    assert _levels(_assessed(lake, repinned)) == {"README": "warning"}


def test_shards_that_start_at_once_leave_one_observation(
    hub: MovingHub, lake: Lake, tmp_path: Path
) -> None:
    def shard(number: int) -> str:
        settled, _ = settle(
            _contract("unpinned"), lake, cache=tmp_path, project_root=tmp_path,
            now=DAY.replace(second=number),
        )  # fmt: skip
        return pinned_revision(settled)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(shard, range(6))) == {FIRST}
    assert len(read_observations(lake, "small")) == 1
    assert _levels(_assessed(lake, _contract("unpinned"))) == {"pin": "warning"}


def test_two_revisions_in_one_unpinned_source_are_an_error(
    hub: MovingHub, lake: Lake, tmp_path: Path
) -> None:
    contract = _contract("unpinned")
    _ingest(lake, contract, tmp_path)
    hub.push(SECOND, files())
    _ingest(lake, _contract(SECOND), tmp_path)  # as two first runs at once could do
    found = _assessed(lake, contract)
    assert _levels(found)["shards"] == "error"
    assert "shards were read at more than one revision" in found.summary()


@pytest.mark.parametrize(
    ("readme", "rows", "wanted"),
    [
        (card("cc-by-nc-4.0"), ROWS, {"licence tag": "error", "README": "warning"}),
        (card("mit", "Other words."), ROWS, {"README": "warning"}),
        (card(), ROWS | {"stars": [1, 2, 3, 4]}, {"column stars": "warning"}),
        (card(), ROWS | {"text": [b"x"] * 4}, {}),
        (card(), ROWS | {"text": [1, 2, 3, 4]}, {"column text": "error"}),
        (card(), {"body" if k == "text" else k: v for k, v in ROWS.items()},
         {"column text": "error", "column body": "warning"}),
        (card(), {k: v for k, v in ROWS.items() if k != "lic"}, {"column lic": "error"}),
    ],
    ids=["licence", "readme", "added", "same-logical-type", "type", "renamed", "licence-column"],
)  # fmt: skip
def test_a_changed_main_is_told_field_by_field(
    hub: MovingHub, tmp_path: Path, readme: bytes, rows: dict[str, list[Any]],
    wanted: dict[str, str],
) -> None:  # fmt: skip
    lake = Lake.at(tmp_path / "lake")
    _ingest(lake, _contract(), tmp_path)
    hub.push(SECOND, files(readme, rows))
    found = _look(lake, _contract(), tmp_path)
    assert _levels(found) == {**wanted, "newer revision": "info"}
    for field in wanted:
        assert f"| {field} |" in found.table()


def test_a_licence_change_blocks_until_a_person_accepts_exactly_it(
    hub: MovingHub, lake: Lake, tmp_path: Path
) -> None:
    contract = _contract()
    catalog: Any = _Catalog(contract)
    _ingest(lake, contract, tmp_path)
    assert blocked_sources(lake, catalog) == {}
    hub.push(SECOND, files(card("cc-by-nc-4.0")))
    found = _look(lake, contract, tmp_path)
    assert [drift.field for drift in found.blocking] == ["licence tag"]
    said = "mit in the contract or at the first look, cc-by-nc-4.0 upstream today"
    assert f"- error: licence tag: {said}: upstream's licence" in found.summary()
    assert "tritter pin small --write --accept" in blocked_sources(lake, catalog)["small"]

    decision = _decision(found.subject)
    accepting = dataclasses.replace(POLICY, decisions=(decision,))
    assert _assessed(lake, contract, accepting).errors == ()
    assert "Ann until 2027" in _assessed(lake, contract, accepting).summary()
    late = dataclasses.replace(POLICY, decisions=(dataclasses.replace(decision, expired=True),))
    assert _assessed(lake, contract, late).blocking
    hub.push("c" * 40, files(card("cc-by-nd-4.0")))
    assert _look(lake, contract, tmp_path).subject != found.subject

    claimed = UpstreamClaim(licence_tag="cc-by-nd-4.0")
    assert "licence tag" in _levels(_assessed(lake, contract))
    edited = dataclasses.replace(contract, upstream=claimed)
    held = [d for d in _assessed(lake, edited).drifts if d.field == "licence tag"]
    assert [(d.baseline, d.used, d.today) for d in held] == [
        ("cc-by-nd-4.0", "mit", "cc-by-nd-4.0")
    ]


def _decision(subject: str) -> Decision:
    return Decision(
        id="ok",
        kind=DecisionKind.ACCEPT_UPSTREAM,
        subject=subject,
        use_profiles=("brief",),
        who="Ann",
        when=DAY.date(),
        evidence="read the card",
        expires=DAY.replace(year=2027).date(),
        expired=False,
    )


class _Catalog:
    def __init__(self, contract: SourceContract) -> None:
        self.policy = POLICY
        self.profile = type("Profile", (), {"use_profile": "brief"})()
        self._contract = contract

    def active_sources(self) -> tuple[SourceContract, ...]:
        return (self._contract,)


def test_a_gate_that_appears_is_an_error(hub: MovingHub, lake: Lake, tmp_path: Path) -> None:
    _ingest(lake, _contract(), tmp_path)
    hub.gated = "manual"
    found = _look(lake, _contract(), tmp_path)
    assert _levels(found) == {"gate": "error", "gate claim": "error"}
    assert len(found.blocking) == 2
    accepted = dataclasses.replace(_contract(), upstream=UpstreamClaim(gated="manual"))
    left = [(d.field, d.used, d.today) for d in _assessed(lake, accepted).drifts]
    assert left == [("gate", "none", "manual")]


def test_a_gate_that_shuts_us_out_is_still_seen(hub: MovingHub, lake: Lake, tmp_path: Path) -> None:
    _ingest(lake, _contract(), tmp_path)
    hub.push(SECOND, files(card("cc-by-4.0")))
    hub.gated, hub.closed = "manual", True
    found = _look(lake, _contract(), tmp_path)
    assert {drift.field for drift in found.blocking} == {"licence tag", "gate", "gate claim"}
    assert "README" not in _levels(found)
    hub.gated = False
    with pytest.raises(UpstreamUnavailable, match="accept the agreement"):
        _look(lake, _contract(), tmp_path)


def test_a_config_that_vanished_is_a_change(hub: MovingHub, lake: Lake, tmp_path: Path) -> None:
    _ingest(lake, _contract(), tmp_path)
    hub.push(SECOND, {"README.md": card(), "other.csv": b"a\n1\n"})
    found = _look(lake, _contract(), tmp_path)
    assert _levels(found) == {"revision": "error", "newer revision": "info"}
    assert "no parquet file" in found.summary()


def test_a_contract_that_claims_another_licence_is_told(
    hub: MovingHub, lake: Lake, tmp_path: Path
) -> None:
    wrong = _contract(licence=LicenceFacts(row_column="lic", wrapper="Apache-2.0"))
    _ingest(lake, wrong, tmp_path)
    found = _assessed(lake, wrong)
    assert _levels(found) == {"licence claim": "error"}
    assert "the tag means MIT" in found.summary()


def test_a_card_without_a_tag_only_warns(hub: MovingHub, lake: Lake, tmp_path: Path) -> None:
    hub.push(FIRST, files(card("")))
    _ingest(lake, _contract(), tmp_path)
    assert _levels(_assessed(lake, _contract())) == {"licence claim": "warning"}


def test_a_vanished_repository_and_a_rewritten_history(
    hub: MovingHub, lake: Lake, tmp_path: Path
) -> None:
    _ingest(lake, _contract(), tmp_path)
    hub.push(SECOND, files(), rewrite=True)
    found = _look(lake, _contract(), tmp_path)
    assert _levels(found) == {"revision": "warning", "newer revision": "info"}
    assert "its history was rewritten" in found.summary()
    hub.gone = True
    found = _look(lake, _contract(), tmp_path)
    assert [drift.field for drift in found.blocking] == ["repository"]
    assert "no longer on the Hub" in found.summary()


def test_offline_records_nothing(hub: MovingHub, lake: Lake, tmp_path: Path,
                                 monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UpstreamUnavailable, match="could not be reached"):
        _look(lake, _contract(), tmp_path)
    assert read_observations(lake, "small") == ()


def test_the_stack_asks_for_its_newest_version(hub: MovingHub, lake: Lake, tmp_path: Path) -> None:
    licence = LicenceFacts(row_column="lic", wrapper="MIT", access_terms="stack_v2_terms")
    contract = _contract(licence=licence)
    _ingest(lake, contract, tmp_path)
    hub.push(SECOND, files())
    found = _look(lake, contract, tmp_path)
    assert _levels(found) == {"newer revision": "warning"}
    assert "Software Heritage principles" in found.summary()


@pytest.mark.parametrize(
    ("readme", "wanted"),
    [
        ("---\nlicense: MIT\n---\n", "mit"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "apache-2.0, mit"),
        ("---\nlicense: other\nlicense_name: stack-terms\n---\n", "other (stack-terms)"),
        ("---\npretty_name: x\n---\n", "none"),
        ("# license: mit\n", "none"),
        ("---\n: [\n---\n", "none"),
    ],
)
def test_licence_tag_of_a_card(readme: str, wanted: str) -> None:
    assert card_license(readme) == wanted


def test_crates_that_are_withdrawn_lost_or_replaced() -> None:
    raw = b"crate"
    pins = tuple(CratePin(name=n, version="1.0.0", sha256=sha256(raw)) for n in ("abc", "serde"))
    origin = CrateOrigin(crates=pins)
    with CrateRegistry({(pin.name, pin.version): raw for pin in pins}).running() as registry:

        def look() -> tuple[str, str]:
            facts = look_at_crates(origin, "pins", index=f"{registry.url}/index")
            return facts.status, facts.note.removeprefix(f"{registry.url}/index: ")

        entry = registry.index["/index/se/rd/serde"][0]
        assert look() == ("ok", "")
        entry["yanked"] = True
        assert look() == ("yanked", "yanked: serde 1.0.0")
        registry.index["/index/3/a/abc"].clear()
        assert look() == ("revision_gone", "revision gone: abc 1.0.0")
        entry["cksum"] = "0" * 64
        assert look() == ("changed", "changed: serde 1.0.0")
        del registry.index["/index/3/a/abc"]
        entry["cksum"], entry["yanked"] = sha256(raw), False
        assert look() == ("revision_gone", "revision gone: abc 1.0.0")


def test_a_withdrawn_and_a_replaced_release(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = tar_gz({"PKG-INFO": PKG_INFO.encode(), "a.py": b"x = 1\n"})
    releases = {"small_package-1.2.tar.gz": raw, "small_package-1.3.tar.gz": raw}
    with IndexServer({"small-package": releases}).running() as index:
        monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/simple")
        origin = SdistOrigin(package="small-package", version="1.2", sha256=sha256(raw))
        contract = contract_of(origin)
        found = _look(lake, contract, tmp_path)
        assert _levels(found) == {"newer revision": "info"}
        (seen,) = read_observations(lake, "small")
        assert (seen.facts.license_tag, seen.facts.newest) == ("MIT", "1.3")
        index.yanked["small_package-1.2.tar.gz"] = "broken wheel"
        found = _look(lake, contract, tmp_path)
        assert "was withdrawn: broken wheel" in found.summary()
        assert _levels(found)["revision"] == "warning"
        index.yanked.clear()
        index.listed_sha256["small_package-1.2.tar.gz"] = "0" * 64
        assert _levels(_look(lake, contract, tmp_path))["revision"] == "error"
