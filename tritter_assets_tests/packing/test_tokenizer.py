from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.packing.tokenizer import code_version, load_tokenizer, train_tokenizer
from tritter_assets.packing.tokens import SPECIAL_TOKENS
from tritter_assets_tests.mixes.lake_of_rows import FINGERPRINT, code
from tritter_assets_tests.packing.small_mix import build, mixed_rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    from tritter_assets.mixes import gate
    from tritter_assets_tests.mixes.lake_of_rows import permissive_only

    folder = tmp_path_factory.mktemp("tokenizer")
    lake = Lake.at(folder / "lake")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate, "admit_frame", permissive_only)
        build(lake, folder, mixed_rows())
    return lake


@given(text=st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_every_text_comes_back_unchanged(trained: Lake, text: str) -> None:
    tokenizer = load_tokenizer(trained)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text
    assert not {tokenizer.token_to_id(token) for token in SPECIAL_TOKENS} & set(ids)


@pytest.mark.parametrize("token", SPECIAL_TOKENS)
def test_text_never_becomes_a_special_token(trained: Lake, token: str) -> None:
    tokenizer = load_tokenizer(trained)
    ids = tokenizer.encode(f"a {token} b", add_special_tokens=False).ids
    assert tokenizer.token_to_id(token) not in ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == f"a {token} b"


def test_special_tokens_have_the_first_ids(trained: Lake) -> None:
    facts = ArtifactStore(trained).facts("tokenizer")
    ids = [facts["special_tokens"][token] for token in SPECIAL_TOKENS]
    assert ids == list(range(len(SPECIAL_TOKENS)))
    assert facts["vocab_size"] == 360
    assert set(facts["bytes_per_token_by_language"]) == {"markdown", "python"}
    assert 1.0 < facts["bytes_per_token"] < 6.0


def test_training_again_in_another_process_gives_the_same_bytes(
    trained: Lake, tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        "from tritter_assets.lake import Lake\n"
        "from tritter_assets.packing.tokenizer import train_tokenizer\n"
        "train_tokenizer(Lake.at(sys.argv[1]), phases=['phase1_base'], vocab_size=360,"
        f" fingerprint={FINGERPRINT!r})\n"
    )
    before = ArtifactStore(trained).list("tokenizer")
    subprocess.run(
        [sys.executable, "-c", program, str(trained.location.root)], check=True, cwd=tmp_path
    )
    assert ArtifactStore(trained).list("tokenizer") == before


def test_transformers_opens_it(trained: Lake) -> None:
    folder = ArtifactStore(trained).open_local("tokenizer", "tokenizer_config.json").parent
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder))
    assert tokenizer.eos_token_id == 0
    assert tokenizer.pad_token_id == 1
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}],
        tokenize=False,
    )
    assert text == "<|user|>hi<|assistant|>yes<|endoftext|>"


def test_an_empty_mix_is_refused(lake: Lake, tmp_path: Path) -> None:
    build(lake, tmp_path, code("a", 3), vocab_size=300)
    from tritter_assets.mixes.build import MIX_SCHEMA

    lake.write("mix/phase2_domain", MIX_SCHEMA.empty_table(), MIX_SCHEMA, fingerprint=FINGERPRINT)
    with pytest.raises(MissingProvenance, match="no row"):
        train_tokenizer(lake, phases=["phase2_domain"], vocab_size=300, fingerprint=FINGERPRINT)


def test_code_version_follows_the_vocabulary() -> None:
    first = code_version(phases=["phase1_base"], vocab_size=360)
    assert first == code_version(phases=["phase1_base"], vocab_size=360)
    assert first != code_version(phases=["phase1_base"], vocab_size=500)
