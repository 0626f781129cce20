"""A byte-level BPE tokenizer.json as GGUF's tokenizer keys.

llama.cpp finds its own copy of the pre-tokenizer by name (`tokenizer.ggml.pre`); a name that is not
the tokenizer's pattern gives other token ids without an error. So the name must be stated by the
tokenizer's facts, or be recognised from its structure; anything else is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritter_assets.errors import ContractViolation
from tritter_assets.training.vocabulary import TOKENIZER_FILE, Vocabulary, read_vocabulary

_NORMAL, _CONTROL, _USER_DEFINED, _UNUSED = 1, 3, 4, 5

_IGNORES_MERGES = frozenset({"llama-bpe"})
"""Pre-tokenizers for which llama.cpp takes a word that is in the vocabulary whole, unmerged."""

_FIM = {
    "<|fim_prefix|>": "tokenizer.ggml.fim_pre_token_id",
    "<|fim_suffix|>": "tokenizer.ggml.fim_suf_token_id",
    "<|fim_middle|>": "tokenizer.ggml.fim_mid_token_id",
    "<|repo|>": "tokenizer.ggml.fim_rep_token_id",
    "<|file|>": "tokenizer.ggml.fim_sep_token_id",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class GgufVocabulary:
    """The `tokenizer.*` keys of a file."""

    pre_tokenizer: str
    tokens: tuple[str, ...]
    token_types: tuple[int, ...]
    merges: tuple[str, ...]
    special: Vocabulary
    fim_ids: Mapping[str, int]
    chat_template: str | None
    warnings: tuple[str, ...]

    def write(self, writer: Any) -> None:
        """Adds the keys to a GGUFWriter."""
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre(self.pre_tokenizer)
        writer.add_token_list(list(self.tokens))
        writer.add_token_types(list(self.token_types))
        writer.add_token_merges(list(self.merges))
        writer.add_add_space_prefix(False)
        # Named explicitly: some pre-tokenizers' default is to add one, and training never did.
        writer.add_add_bos_token(False)
        writer.add_add_eos_token(False)
        for add, number in (
            (writer.add_bos_token_id, self.special.begin_id),
            (writer.add_eos_token_id, self.special.end_id),
            (writer.add_pad_token_id, self.special.pad_id),
            (writer.add_unk_token_id, self.special.unknown_id),
        ):
            if number is not None:
                add(number)
        for key, number in self.fim_ids.items():
            writer.add_uint32(key, number)
        if self.chat_template is not None:
            writer.add_chat_template(self.chat_template)


def read_gguf_vocabulary(
    files: Mapping[str, Path], facts: Mapping[str, Any], vocab_size: int
) -> GgufVocabulary:
    """Reads a tokenizer's files.

    Args:
        files: At least `tokenizer.json`; `tokenizer_config.json` may hold a chat template.
        facts: The tokenizer artifact's facts; `pre_tokenizer` names the pattern.
        vocab_size: Rows of the embedding; ids the tokenizer does not use become unused tokens.

    Raises:
        ContractViolation: it is not byte-level BPE, or its pre-tokenizer has no known name.
    """
    loaded = json.loads(files[TOKENIZER_FILE].read_text(encoding="utf-8"))
    model = loaded["model"]
    if model.get("type") != "BPE":
        raise ContractViolation(f"a GGUF of this writer needs a BPE tokenizer, not {model['type']}")
    pre_tokenizer = facts.get("pre_tokenizer") or _recognise(loaded["pre_tokenizer"])
    added = {int(token["id"]): token for token in loaded.get("added_tokens", [])}
    by_id = {int(number): text for text, number in model["vocab"].items()}
    by_id |= {number: token["content"] for number, token in added.items()}
    tokens, types = [], []
    for number in range(vocab_size):
        tokens.append(by_id.get(number, f"<|unused_{number}|>"))
        if number in added:
            types.append(_CONTROL if added[number]["special"] else _USER_DEFINED)
        else:
            types.append(_NORMAL if number in by_id else _UNUSED)
    merges = tuple(m if isinstance(m, str) else " ".join(m) for m in model["merges"])
    config = files.get("tokenizer_config.json")
    settings = {} if config is None else json.loads(config.read_text(encoding="utf-8"))
    ids = {token["content"]: number for number, token in added.items()}
    return GgufVocabulary(
        pre_tokenizer=pre_tokenizer,
        tokens=tuple(tokens),
        token_types=tuple(types),
        merges=merges,
        special=read_vocabulary(files[TOKENIZER_FILE]),
        fim_ids={key: ids[name] for name, key in _FIM.items() if name in ids},
        chat_template=settings.get("chat_template"),
        warnings=_warnings(files[TOKENIZER_FILE], model, added, pre_tokenizer),
    )


def _recognise(pre_tokenizer: Mapping[str, Any] | None) -> str:
    found = dict(pre_tokenizer or {})
    if found.get("type") == "ByteLevel" and found.get("use_regex", True):
        return "gpt-2"
    raise ContractViolation(
        f"the pre-tokenizer {json.dumps(found)[:120]} has no name that llama.cpp knows: state it "
        "in the tokenizer's facts as 'pre_tokenizer'"
    )


def _warnings(
    path: Path, model: Mapping[str, Any], added: Mapping[int, Any], pre_tokenizer: str
) -> tuple[str, ...]:
    """Counts tokens that llama.cpp would take whole and the tokenizer would not."""
    if pre_tokenizer not in _IGNORES_MERGES or model.get("ignore_merges"):
        return ()
    from tokenizers import Tokenizer

    bpe = Tokenizer.from_file(str(path)).model
    unreached = [
        text
        for text, number in model["vocab"].items()
        if number not in added and len(bpe.tokenize(text)) != 1
    ]
    if not unreached:
        return ()
    return (
        f"{len(unreached)} tokens ({', '.join(sorted(unreached)[:3])}) are not what their merges "
        f"give; with {pre_tokenizer!r} llama.cpp uses them whole, so ids may differ there: train "
        "the tokenizer with ignore_merges",
    )
