"""`tritter pin` on copied contracts, against local servers: what it shows, writes and refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from tritter_assets.cli import main
from tritter_assets.contracts.edit_source import edited_text
from tritter_assets.contracts.parse_source import parse_source
from tritter_assets.contracts.source import HttpOrigin, HubOrigin, SdistOrigin, UpstreamClaim
from tritter_assets.contracts.yaml_file import ContractProblems
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.defs.hub_project import (
    CONTRACT,
    REPO,
    SOURCE,
    contract_file,
    custom_property,
    write_hub_project,
)
from tritter_assets_tests.sources.builders import PKG_INFO, sha256, tar_gz
from tritter_assets_tests.sources.moving_hub import FIRST, ROWS, SECOND, MovingHub, card, files
from tritter_assets_tests.sources.servers import IndexServer


@pytest.fixture(autouse=True)
def _no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    monkeypatch.setenv("HF_TOKEN_PATH", "/nonexistent")
    for name in ("HF_TOKEN", "TRITTER_LAKE", "TRITTER_CACHE", "TRITTER_PROFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[MovingHub]:
    with MovingHub(REPO, files()).running() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return write_hub_project(tmp_path / "project").project_root


def _run(
    capsys: pytest.CaptureFixture[str], project: Path, *words: str
) -> tuple[int, dict[str, Any]]:
    status = main(["pin", *words, "--json", "--project", str(project)])
    captured = capsys.readouterr()
    assert captured.err == ""
    (found,) = json.loads(captured.out)
    return status, found


def test_pinning_writes_the_commit_and_what_it_said(
    hub: MovingHub, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contract_file(project).read_text()
    status, found = _run(capsys, project)
    assert (status, found["status"], found["upstream"]) == (0, "available", FIRST)
    assert contract_file(project).read_text() == before
    status, found = _run(capsys, project, SOURCE, "--write")
    assert (status, found["status"]) == (0, "written")
    after = contract_file(project).read_text()
    changed = [line for line in after.splitlines() if line not in before.splitlines()]
    today = custom_property(project, "upstream")["as_of"]
    assert isinstance(today, date)
    assert changed == [
        f"      revision: {FIRST}  # the Hub was out of reach",
        "  - property: upstream",
        "      licence_tag: mit",
        "      gated: none",
        f"      readme_sha256: {sha256(card())}",
        "      columns: {lic: string, repo: string, text: string}",
        f"      as_of: {today}",
    ]
    assert found["diff"].count("\n-") == 1  # the unpinned revision is all that goes
    contract = parse_source(contract_file(project))
    assert contract.upstream is not None
    assert contract.upstream.licence_tag == "mit"
    assert _run(capsys, project, SOURCE, "--write")[1]["status"] == "current"
    assert contract_file(project).read_text() == after


def test_what_is_pinned_bears_identity_and_what_was_said_does_not(
    hub: MovingHub, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = contract_file(project)
    path.write_text(CONTRACT.replace("revision: unpinned", f"revision: {FIRST}"))
    before = parse_source(path)
    assert _run(capsys, project, "--write")[1]["status"] == "written"
    assert parse_source(path).digest == before.digest
    hub.push(SECOND, files(card(text="More.")))
    status, found = _run(capsys, project, "--write")
    assert (status, found["status"]) == (0, "written")
    assert any(line.startswith("warning: README") for line in found["differences"])
    assert parse_source(path).digest != before.digest
    assert custom_property(project, "upstream")["readme_sha256"] == sha256(card(text="More."))


@pytest.mark.parametrize("change", ["licence", "gate", "column"])
def test_a_changed_licence_gate_or_column_needs_acceptance(
    hub: MovingHub, project: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    assert _run(capsys, project, "--write")[0] == 0
    before = contract_file(project).read_text()
    renamed = {"body" if name == "text" else name: v for name, v in ROWS.items()}
    content = {
        "licence": files(card("cc-by-nc-4.0")),
        "gate": files(),
        "column": files(rows=renamed),
    }[change]
    hub.push(SECOND, content)
    hub.gated = "auto" if change == "gate" else False
    status, found = _run(capsys, project, "--write")
    assert (status, found["status"]) == (1, "refused")
    said = {
        "licence": "error: licence tag: mit -> cc-by-nc-4.0",
        "gate": "error: gate: none -> auto",
        "column": "error: column text: string -> absent",
    }[change]
    assert any(line.startswith(said) for line in found["differences"]), found["differences"]
    assert contract_file(project).read_text() == before
    status, found = _run(capsys, project, "--write", "--accept")
    assert (status, found["status"]) == (0, "written")
    claimed = custom_property(project, "upstream")
    assert claimed["licence_tag"] == ("cc-by-nc-4.0" if change == "licence" else "mit")
    assert claimed["gated"] == ("auto" if change == "gate" else "none")


def test_a_licence_the_contract_does_not_claim_is_refused(
    hub: MovingHub, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.push(FIRST, files(card("apache-2.0")))
    status, found = _run(capsys, project, "--write")
    assert (status, found["status"]) == (1, "refused")
    assert any("the tag means Apache-2.0" in line for line in found["differences"])


@pytest.mark.parametrize(
    "case",
    [
        ("GatedRepo", "accept the agreement"),
        ("RepoNotFound", "renamed, or is private"),
        ("gone", "renamed, or is private"),
        ("offline", "could not be reached"),
    ],
)
def test_no_answer_is_said_with_the_way_out(
    hub: MovingHub, project: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, case: tuple[str, str],
) -> None:  # fmt: skip
    trouble, said = case
    if trouble == "offline":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    elif trouble == "gone":
        hub.gone = True
    else:
        hub.gate = trouble
    status, found = _run(capsys, project, "--write")
    assert (status, found["status"]) == (1, "failed")
    assert said in found["message"]


def test_the_table_for_people(
    hub: MovingHub, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["pin", "--project", str(project)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].split()[:4] == ["source", "status", "pinned", "upstream"]
    assert "+      licence_tag: mit" in out
    assert "--write pins it" in out
    assert main(["pin", "hub_cod", "--project", str(project)]) == 2
    assert "did you mean 'hub_code'?" in capsys.readouterr().err


def test_a_release_and_its_licence(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tar_gz({"PKG-INFO": PKG_INFO.encode(), "a.py": b"x = 1\n"})
    same = tar_gz({"PKG-INFO": PKG_INFO.encode(), "a.py": b"x = 2\n"})
    other = tar_gz({"PKG-INFO": PKG_INFO.replace("Expression: MIT", "Expression: ISC").encode()})
    releases = {"small_package-1.2.tar.gz": old, "small_package-1.3.tar.gz": same}
    origin = f"{{kind: sdist, package: small-package, version: '1.2', sha256: {sha256(old)}}}"
    text = CONTRACT.replace("columns\n    value: {content: text, repo: repo}",
                            "columns\n    value: {}")  # fmt: skip
    start, end = text.index("      kind: hub"), text.index("  - property: columns")
    text = f"{text[:start].rstrip().removesuffix('value:')}value: {origin}\n{text[end:]}"
    text = text.replace("row_column: lic, ", "")
    contract_file(project).write_text(text)
    with IndexServer({"small-package": releases}).running() as index:
        monkeypatch.setenv("PIP_INDEX_URL", f"{index.url}/simple")
        status, found = _run(capsys, project, SOURCE, "--write")
        assert (status, found["status"], found["upstream"]) == (0, "written", "1.3")
        pinned = custom_property(project, "origin")
        assert (pinned["version"], pinned["sha256"]) == ("1.3", sha256(same))
        assert custom_property(project, "upstream")["licence_tag"] == "MIT"
        assert _run(capsys, project, SOURCE)[1]["status"] == "current"
        releases["small_package-1.4.tar.gz"] = other
        status, found = _run(capsys, project, SOURCE, "--write")
        assert (status, found["status"]) == (1, "refused")
        assert found["differences"] == ["error: licence: MIT -> ISC"]


def test_an_unpinned_file_is_hashed(
    hub: MovingHub, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"{hub.url}/cdn/data/train-0.parquet"
    start, end = CONTRACT.index("      kind: hub"), CONTRACT.index("  - property: columns")
    origin = f"      kind: http\n      url: {url}\n      sha256: unpinned\n"
    text = f"{CONTRACT[:start]}{origin}      file_format: parquet\n{CONTRACT[end:]}"
    contract_file(project).write_text(text)
    raw = hub.files["data/train-0.parquet"]
    status, found = _run(capsys, project, "--write")
    assert (status, found["status"]) == (0, "written")
    parsed = parse_source(contract_file(project)).origin
    assert isinstance(parsed, HttpOrigin)
    assert parsed.sha256 == sha256(raw)
    hub.files["data/train-0.parquet"] = raw + b"more"
    status, found = _run(capsys, project, SOURCE, "--write")
    assert (status, found["status"]) == (1, "refused")


def test_a_tag_of_a_git_repository_is_resolved(
    tmp_path: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream = tmp_path / "upstream"
    upstream.mkdir()
    person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for words in (
        ("init", "-q"),
        (*person, "commit", "-q", "--allow-empty", "-m", "one"),
        (*person, "tag", "-a", "v1", "-m", "first"),
        (*person, "commit", "-q", "--allow-empty", "-m", "two"),
    ):
        subprocess.run(["git", *words], cwd=upstream, check=True)
    log = subprocess.run(
        ["git", "log", "--format=%H"], cwd=upstream, check=True, capture_output=True, text=True
    )
    second, first = log.stdout.split()
    start, end = CONTRACT.index("      kind: hub"), CONTRACT.index("  - property: columns")
    origin = f"      kind: git\n      url: file://{upstream}\n      commit: {FIRST}\n"
    text = f"{CONTRACT[:start]}{origin}{CONTRACT[end:]}".replace("row_column: lic, ", "")
    contract_file(project).write_text(text.replace("{content: text, repo: repo}", "{}"))
    assert _run(capsys, project, SOURCE, "--ref", "v1", "--write")[0] == 0
    assert custom_property(project, "origin")["commit"] == first
    assert _run(capsys, project, SOURCE)[1]["upstream"] == second
    status, found = _run(capsys, project, SOURCE, "--ref", "v2")
    assert (status, found["status"]) == (1, "failed")
    assert "no branch or tag 'v2': use one of HEAD," in found["message"]

    path = contract_file(project)
    path.write_text(path.read_text().replace(f"commit: {first}", f"commit: {first}\n      tag: v1"))
    assert _run(capsys, project, SOURCE)[1]["status"] == "current"
    subprocess.run(["git", "tag", "-f", "v1", second], cwd=upstream, check=True)
    status, found = _run(capsys, project, SOURCE, "--write")
    assert (status, found["status"]) == (1, "refused")
    assert f"error: the tag v1 moved: {first} -> {second}" in found["differences"]


_HUB_CONTRACTS = [
    path
    for path in sorted((REPOSITORY / "data_contracts" / "sources").glob("*.yaml"))
    if "kind: hub" in path.read_text(encoding="utf-8")
]


def test_every_hub_contract_can_be_pinned_in_place(tmp_path: Path) -> None:
    claim = UpstreamClaim(
        licence_tag="other (x)",
        gated="manual",
        readme_sha256="0" * 64,
        columns={"on": "boolean", **{f"column_{n}": "string" for n in range(12)}},
        as_of=date(2026, 11, 24),
    )
    assert len(_HUB_CONTRACTS) > 40
    for original in _HUB_CONTRACTS:
        path = Path(shutil.copy(original, tmp_path))
        before = parse_source(path)
        text = edited_text(path, {"revision": FIRST}, claim)
        path.write_text(text)
        after = parse_source(path)
        assert isinstance(after.origin, HubOrigin)
        assert (after.origin.revision, after.upstream) == (FIRST, claim), original.name
        assert "not pinned" not in after.description
        assert after.licence == before.licence
        assert edited_text(path, {"revision": FIRST}, claim) == text
        old, new = original.read_text().splitlines(), text.splitlines()
        kept = [line for line in old if line in new]
        assert len(old) - len(kept) <= 4, original.name  # the revision, and what it said of it


def test_every_release_can_be_pinned_in_place(tmp_path: Path) -> None:
    originals = [
        path
        for path in sorted((REPOSITORY / "data_contracts" / "sources").glob("*.yaml"))
        if "kind: sdist" in path.read_text(encoding="utf-8")
    ]
    assert len(originals) > 20
    for original in originals:
        path = Path(shutil.copy(original, tmp_path))
        before = parse_source(path)
        path.write_text(edited_text(path, {"version": "1.10", "sha256": "1" * 64}, None))
        after = parse_source(path)
        assert isinstance(after.origin, SdistOrigin)
        assert (after.origin.version, after.origin.sha256) == ("1.10", "1" * 64)
        assert (after.licence, after.quality) == (before.licence, before.quality)
        old, new = original.read_text().splitlines(), path.read_text().splitlines()
        assert sum(a != b for a, b in zip(old, new, strict=True)) <= 2


def test_without_a_hub_source_it_says_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    contract_file(project).unlink()
    assert main(["pin", "--project", str(project)]) == 0
    assert "name the sources to pin" in capsys.readouterr().out


def test_a_wrong_claim_is_a_problem_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / f"{SOURCE}.yaml"
    block = "  - property: upstream\n    value:\n      gated: perhaps\n      readme_sha256: abc\n"
    block += "      columns: {text: varchar}\n      tag: mit\n"
    path.write_text(CONTRACT + block)
    with pytest.raises(ContractProblems) as raised:
        parse_source(path)
    told = {problem.field: problem for problem in raised.value.problems}
    assert set(told) == {f"upstream.{n}" for n in ("gated", "readme_sha256", "columns", "tag")}
    lines = (CONTRACT + block).splitlines()
    assert "gated" in lines[told["upstream.gated"].line - 1]
    assert yaml.safe_load(CONTRACT + block)
