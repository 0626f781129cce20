from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tritter_assets.compliance.name_audit import (
    audit_documents,
    looks_like_a_name,
    models_at_hand,
    read_settings,
    sample_ids,
    wilson,
    write_name_audit,
)
from tritter_assets.compliance.name_models import (
    ModelAbsent,
    Name,
    NameModel,
    load_spacy,
    load_token_classifier,
)
from tritter_assets.compliance.prose import passages
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import ArtifactStore
from tritter_assets_tests.lineage import small_lake as small

PYTHON = '''"""Module of things.

Written by Grace Hopper.
"""
# Thanks go to Margaret
# Hamilton for the idea.
NAME = "Alan Turing in a string"
x = 1  # one


def f():
    """Does it, says Barbara Liskov."""
'''


def settings() -> dict[str, Any]:
    return dict(read_settings(small.full_catalog()))


def names_all_capitalised(texts):
    return [[Name(0, len(text), "person")] if text.istitle() else [] for text in texts]


FAKE = NameModel(title="capitals", find=names_all_capitalised)


def test_passages_are_comments_and_docstrings_without_markers_line_for_line():
    found = passages(PYTHON, "Python", max_chars=10_000)
    assert found is not None
    assert [(passage.line, passage.text.split("\n")) for passage in found] == [
        (1, ["Module of things.", "", "Written by Grace Hopper.", "", "Thanks go to Margaret",
             "Hamilton for the idea."]),
        (8, ["one"]),
        (12, ["Does it, says Barbara Liskov."]),
    ]  # fmt: skip
    rust = passages("/// A line\n//! more\n\nfn f() {} /* b\n * c */\n", "rust", max_chars=99)
    assert rust is not None
    assert [p.text for p in rust] == ["A line\nmore", "b\nc"]
    assert passages("x", "cobol", max_chars=9) is None
    assert passages("# " + "x" * 300_000, "python", max_chars=9) is None
    assert passages("Some prose", "Markdown", max_chars=4) == [(1, "Some")]


def test_the_sample_is_that_of_the_smallest_hashes_in_any_order():
    ids = [str(number) for number in range(500)]
    chosen = sample_ids(ids, 10, 50)
    assert chosen == sample_ids(ids[::-1], 10, 50)
    assert set(chosen) != set(sample_ids(ids, 11, 50))
    # One more document takes at most one place.
    assert len(set(chosen) & set(sample_ids([*ids, "more"], 10, 50))) >= 49


@pytest.mark.parametrize(
    ("text", "is_name"),
    [
        ("Ada Lovelace", True),
        ("Donald E. Knuth", True),
        ("Jean-Pierre Serre", True),
        ("Shaun McDonald", True),
        ("Andr\xe9 Weil", True),
        ("Args", False),
        ("JSON SHA", False),
        ("nx.to_agraph(K5", False),
        ("a b", False),
        ("One Two Three Four Five", False),
    ],
)
def test_what_has_the_form_of_a_name(text: str, is_name: bool):
    assert looks_like_a_name(text) is is_name


def test_wilson_interval():
    assert wilson(0, 0) == (None, None)
    low, high = wilson(10, 100)
    assert (round(low or 0, 4), round(high or 0, 4)) == (0.0552, 0.1744)
    assert wilson(0, 400)[0] == 0.0


def test_documents_that_cannot_be_read_are_counted_and_names_are_hashed():
    documents = pl.DataFrame(
        [
            {"id": "1", "language": "python", "content": "# Ada Lovelace\n"},
            {"id": "2", "language": "python", "content": "# Nobody\n"},
            {"id": "3", "language": "cobol", "content": "* Ada Lovelace"},
        ]
    )
    audit = audit_documents("demo", documents, 9, FAKE, settings())
    row = audit.row()
    assert (row["documents"], row["sampled"], row["read"], row["with_names"]) == (9, 3, 2, 1)
    assert (row["rate"], row["num_person"], row["num_person_unlikely"]) == (0.5, 1, 1)
    (example,) = audit.examples
    assert example["document"] == "1"
    assert example["line"] == 1
    assert "Ada" not in json.dumps(audit.examples)


def test_a_report_without_models_says_not_run(tmp_path: Path):
    lake = small.build(tmp_path)
    absent = [ModelAbsent(title="spaCy", reason="install the extra `ner`")]
    summary = write_name_audit(
        lake, catalog=small.full_catalog(), fingerprint=small.FINGERPRINT, models=absent
    )
    assert summary.headline == "not run: install the extra `ner`"
    assert summary.warnings == ("spaCy: not run: install the extra `ner`",)
    text = ArtifactStore(lake).open_local(summary.asset, "name_audit.json").read_text("utf-8")
    assert json.loads(text)["sources"] == []


def test_a_report_is_labelled_a_sample_and_is_the_same_twice(tmp_path: Path):
    written = [
        write_name_audit(
            small.build(tmp_path / name),
            catalog=small.full_catalog(),
            fingerprint=small.FINGERPRINT,
            models=[FAKE, ModelAbsent(title="other", reason="none")],
        )
        for name in ("a", "b")
    ]
    assert written[0].data_version == written[1].data_version
    assert "sampled documents" in written[0].headline
    assert written[0].counts["sampled_documents_read"] > 0
    assert written[0].warnings == ("other: not run: none",)


def test_spacy_finds_people_and_a_changed_model_is_refused(monkeypatch: pytest.MonkeyPatch):
    pinned = settings()["spacy"]
    try:
        metadata.distribution(pinned["package"])
    except metadata.PackageNotFoundError:
        pytest.skip("the extra `ner` is not installed")
    model = load_spacy(pinned)
    assert isinstance(model, NameModel)
    text = "Written by Jane Smith in Berlin."
    (names,) = model.find([text])
    assert {(text[n.start : n.end], n.label) for n in names} == {
        ("Jane Smith", "person"),
        ("Berlin", "location"),
    }
    for changed in ({"sha256": "0" * 64}, {"version": "999.9.9"}):
        with pytest.raises(ContractViolation, match="install the pinned version"):
            load_spacy({**pinned, **changed})


def test_a_model_that_is_not_installed_is_absent():
    absent = load_spacy({**settings()["spacy"], "package": "no-such-model-tritter"})
    assert isinstance(absent, ModelAbsent)
    assert "install the extra `ner`" in absent.reason
    assert models_at_hand(small.full_catalog()) == models_at_hand(small.full_catalog())


WORDS = ["[PAD]", "[UNK]", "plain", "jane", "smith", "mail", "token", "host", "bob"]
KINDS = ["O", "B-NAME", "I-NAME", "B-EMAIL", "B-KEY", "B-IP_ADDRESS", "B-USERNAME", "B-PASSWORD"]
KIND_OF = {"jane": 1, "smith": 2, "mail": 3, "token": 4, "host": 5, "bob": 6}


def save_classifier(folder: Path) -> None:
    """Saves a BERT whose blocks add nothing, so that each word has the label of its row."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({w: i for i, w in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    ).save_pretrained(folder)
    model = BertForTokenClassification(
        BertConfig(
            vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, max_position_embeddings=32, num_labels=len(KINDS),
            id2label=dict(enumerate(KINDS)), label2id={kind: i for i, kind in enumerate(KINDS)},
        )
    )  # fmt: skip
    with torch.no_grad():
        for name, weights in model.named_parameters():
            weights.fill_(1.0 if "LayerNorm.weight" in name else 0.0)
        for place, word in enumerate(WORDS):
            model.bert.embeddings.word_embeddings.weight[place, KIND_OF.get(word, 0)] = 4.0
        model.classifier.weight.copy_(torch.eye(len(KINDS), 16))
    model.save_pretrained(folder, safe_serialization=True)


def test_a_token_classifier_is_read_from_a_folder_over_windows(tmp_path: Path):
    save_classifier(tmp_path / "weights")
    wanted = {**settings()["token_classifier"], "folder": "weights"}
    model = load_token_classifier(wanted, tmp_path)
    assert isinstance(model, NameModel)
    long = "plain " * 45 + "jane smith " + "plain " * 100 + "bob mail token jane jane host"
    found, none = model.find([long, "plain plain"])
    assert [(long[n.start : n.end], n.label) for n in found] == [
        ("jane smith", "person"),
        ("bob", "username"),
        ("mail", "email"),
        ("token", "key"),
        ("jane", "person"),
        ("jane", "person"),
        ("host", "ip"),
    ]
    assert none == []
    # Wherever windows end, a name is found once.
    for shift in range(0, 40, 4):
        text = "plain " * shift + "jane smith " + "plain " * 40
        (names,) = model.find([text])
        assert [(n.start, n.end) for n in names] == [(6 * shift, 6 * shift + 10)]


def test_weights_that_are_not_safetensors_are_not_loaded(tmp_path: Path):
    save_classifier(tmp_path / "weights")
    weights = tmp_path / "weights" / "model.safetensors"
    weights.rename(weights.with_name("pytorch_model.bin"))
    wanted = {**settings()["token_classifier"], "folder": "weights"}
    absent = load_token_classifier(wanted, tmp_path)
    assert isinstance(absent, ModelAbsent)
    assert "lacks model.safetensors" in absent.reason
    unset = load_token_classifier({**wanted, "folder": None}, tmp_path)
    assert isinstance(unset, ModelAbsent)
    assert "token_classifier.folder" in unset.reason
