from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tritter_assets.contracts.catalog import Catalog, load_catalog
from tritter_assets.contracts.source import HubOrigin, SdistOrigin
from tritter_assets.errors import ContractViolation

ROOT = Path(__file__).parents[2] / "data_contracts"

REFUSED = {
    "magicoder_oss_instruct_75k",
    "magicoder_evol_instruct_110k",
    "code_alpaca_20k",
    "wizardcoder_evol_instruct",
    "code_feedback",
    "big_clone_bench",
    "hh_rlhf",
    "ultrafeedback",
    "code_ultrafeedback",
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(ROOT)


def test_every_contract_is_good(catalog: Catalog) -> None:
    assert {stem: [str(p) for p in found] for stem, found in catalog.problems.items()} == {}
    assert len(catalog.sources) >= 60


def test_starter_is_pinned_archives_only(catalog: Catalog) -> None:
    active = catalog.active_sources()
    assert [source.id for source in active] == sorted(source.id for source in active)
    assert len(active) >= 15
    for source in active:
        assert isinstance(source.origin, SdistOrigin)
        assert source.licence.content == "NOASSERTION"
        assert source.num_shards <= 3


def test_hub_sources_stay_out_of_the_starter(catalog: Catalog) -> None:
    hub = [s for s in catalog.sources.values() if isinstance(s.origin, HubOrigin)]
    assert len(hub) >= 20
    for source in hub:
        assert "starter" not in source.profiles
        assert source.licence.claimed
        assert source.licence.found
        assert source.licence.as_of is not None


def test_refused_sources_are_listed_and_never_active(catalog: Catalog) -> None:
    refused = {s.id for s in catalog.sources.values() if s.refusal}
    assert refused == REFUSED
    for name in ("workstation", "cluster"):
        other = load_catalog(ROOT, profile_name=name)
        assert not REFUSED & {source.id for source in other.active_sources()}


def test_tags_that_mixes_ask_for_exist(catalog: Catalog) -> None:
    tags = {tag for source in catalog.sources.values() for tag in source.tags}
    for mix in catalog.mixes.values():
        for component in mix.components:
            for selector in component.selectors:
                if selector.modalities == ("preference",):
                    continue  # the brief names no source of pairs; mixes are ready for some
                assert set(selector.tags) <= tags, (mix.phase, component.name)


def test_a_bad_file_hides_no_other(tmp_path: Path, catalog: Catalog) -> None:
    root = tmp_path / "data_contracts"
    shutil.copytree(ROOT, root)
    path = root / "sources" / "tiktoken.yaml"
    path.write_text(path.read_text().replace("kind: sdist", "kind: sdits"))
    path = root / "sources" / "networkx.yaml"
    path.write_text(path.read_text().replace("generator: human", "generator: humane"))
    (root / "sources" / "empty.yaml").write_text("")
    (root / "tables" / "verdict.yaml").write_text("[1]")
    found = load_catalog(root)
    assert set(found.problems) == {"tiktoken", "networkx", "empty", "verdict"}
    (problem,) = found.problems["networkx"]
    assert problem.field == "licence.generator"
    assert "'human'" in problem.fix
    assert path.read_text().splitlines()[problem.line - 1].strip() == "generator: humane"
    assert set(found.sources) == set(catalog.sources) - {"tiktoken", "networkx"}


def test_unknown_profile_names_the_known_ones() -> None:
    with pytest.raises(ContractViolation, match="workstation"):
        load_catalog(ROOT, profile_name="worksation")


@pytest.mark.parametrize("name", ["starter", "workstation", "cluster"])
def test_profiles_load(name: str) -> None:
    profile = load_catalog(ROOT, profile_name=name).profile
    shapes = {
        (r.hidden_size, r.num_layers, r.num_heads, r.vocab_size) for r in profile.training.values()
    }
    assert len(shapes) == 1
    assert set(profile.training) == set(profile.contexts) == set(profile.mix_tokens)
