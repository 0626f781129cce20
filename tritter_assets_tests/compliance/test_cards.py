"""Hub cards of mixes and models: front matter that the Hub's own library reads, true figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import DatasetCard, DatasetCardData, ModelCard

from tritter_assets.compliance.dataset_cards import write_dataset_cards
from tritter_assets.compliance.hub_card import (
    card_languages,
    front_matter_problems,
    render_card,
    size_category,
)
from tritter_assets.compliance.model_card import write_model_card
from tritter_assets.errors import ContractViolation, MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.lineage.forget import request_removal
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.packing.pack import PACKED_SCHEMA
from tritter_assets_tests.compliance.paper import STATED, catalog_with_provider, read, write
from tritter_assets_tests.lineage import small_lake as small


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small.build(tmp_path / "lake")


def second_phase(lake: Lake, root: Path) -> None:
    row = small.mix_row(small.KEPT, "filtered/alpha", 30)
    small.write(lake, "mix/phase2_domain", [row], MIX_SCHEMA)
    packed = "packed/phase2_domain_256"
    rows = [small.packed_row(lake, 0, [(small.KEPT, "filtered/alpha", 30)])]
    small.write(lake, packed, rows, PACKED_SCHEMA)
    small.write_model(lake, root, "phase2_domain", packed, "model/phase1_base")


def test_each_mix_has_a_card_that_the_hub_library_reads(lake: Lake, tmp_path: Path) -> None:
    second_phase(lake, tmp_path)
    summary = write(lake, write_dataset_cards)
    assert set(summary.files) == {
        "phase1_base/README.md",
        "phase2_domain/README.md",
        "dataset_cards.html",
    }
    text = read(lake, "compliance/dataset_cards", "phase1_base/README.md")
    card: Any = DatasetCard(text)
    assert card.data.license == "other"
    assert card.data.to_dict()["license_link"] == "NOTICE.txt"
    assert card.data.size_categories == ["n<1K"]
    assert card.data.language == ["code"]
    assert "machine-generated" in card.data.language_creators
    for words in ("| MIT | 2 |", "| attribution |", "Package alpha", "3 rows", "| Python code |"):
        assert words in card.text


def test_the_model_card_has_front_matter_and_figures(lake: Lake) -> None:
    write(lake, write_model_card)
    card: Any = ModelCard(read(lake, "export/model_card", "README.md"))
    assert card.data.license == "other"
    assert card.data.library_name == "transformers"
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value) == ("loss", 5.1)
    for words in ("| phase1_base |", "8.3", "5.1", "Apache-2.0", "attribution", "verified again"):
        assert words in card.text


def test_the_model_card_joins_obligations_phase_by_phase(lake: Lake, tmp_path: Path) -> None:
    second_phase(lake, tmp_path)
    write(lake, write_model_card)
    text = read(lake, "export/model_card", "README.md")
    assert "# model/phase2_domain" in text
    assert "| obligation | phase1 base | phase2 domain |" in text
    assert "| attribution | 3 | 1 |" in text
    page = read(lake, "export/model_card", "model_card.html")
    assert "Joined over all that the checkpoint read" in page


def test_the_licence_of_the_weights_is_the_providers(lake: Lake, tmp_path: Path) -> None:
    unlicensed = write(lake, write_model_card)
    assert "weights_license" in unlicensed.warnings[0]
    summary = write(lake, write_model_card, catalog_with_provider(tmp_path, STATED))
    assert summary.warnings == ()
    card: Any = ModelCard(read(lake, "export/model_card", "README.md"))
    assert card.data.license == "apache-2.0"
    assert "rights@example.org" in card.text


def test_a_licence_that_the_hub_does_not_know_is_refused(lake: Lake, tmp_path: Path) -> None:
    catalog = catalog_with_provider(tmp_path, STATED | {"weights_license": "Apache 2"})
    with pytest.raises(ContractViolation, match=r"did you mean 'apache-2\.0'"):
        write(lake, write_model_card, catalog)


def test_the_card_of_a_marked_checkpoint_fails(lake: Lake) -> None:
    request_removal(lake, "id", small.KEPT["id"], "asked", "2026-11-24T06:00:00Z")
    summary = write(lake, write_model_card)
    assert not summary.passed
    assert "contains_removed" in summary.problems[0]
    assert "contains_removed" in read(lake, "export/model_card", "README.md")


def test_a_model_card_needs_a_model(tmp_path: Path) -> None:
    with pytest.raises(MissingProvenance, match="train a phase first"):
        write(Lake.at(tmp_path), write_model_card)


@pytest.mark.parametrize(
    ("rows", "category"),
    [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (10**9, "1B<n<10B"), (10**13, "n>1T")],
)
def test_size_categories(rows: int, category: str) -> None:
    assert size_category(rows) == category


def test_languages_of_the_hub() -> None:
    assert card_languages(["python", "markdown", "rust"]) == ["code", "en"]
    assert card_languages([]) == ["code"]


@pytest.mark.parametrize(
    ("front", "problem"),
    [
        ({"license": "nothing"}, "license 'nothing' is not an id of the Hub"),
        ({"license": "other"}, "license 'other' needs license_name and license_link"),
        ({"license": "mit", "language": ["english"]}, "language 'english' is not a code"),
        ({"license": "mit", "size_categories": "small"}, "size_categories 'small'"),
    ],
)
def test_what_the_hub_would_object_to(front: dict[str, Any], problem: str) -> None:
    (found,) = front_matter_problems(front, ["mit", "other"])
    assert found.startswith(problem)


def test_a_card_reads_back_as_it_was_written() -> None:
    data = DatasetCardData(license="mit", pretty_name="A: b\n---\nc")
    card: Any = DatasetCard(render_card(data, "# Body", small.CONTRACTS))
    assert card.data.pretty_name == "A: b\n---\nc"
