"""What training and export need to know of the tokenizer: its hash, size and special ids."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritter_assets.errors import ContractViolation

TOKENIZER_TABLE = "tokenizer"
TOKENIZER_FILE = "tokenizer.json"

_BEGIN = ("<|begin_of_text|>", "<|bos|>", "<bos>", "<s>")
_END = ("<|end_of_text|>", "<|endoftext|>", "<|eos|>", "<eos>", "</s>")
_PAD = ("<|pad|>", "<|padding|>", "<pad>", "[PAD]")
_UNKNOWN = ("<|unk|>", "<unk>", "[UNK]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """Facts of a tokenizer.json."""

    sha256: str
    num_tokens: int
    """Ids in use, added tokens included: one more than the largest id."""
    begin_id: int | None
    end_id: int | None
    pad_id: int | None
    unknown_id: int | None


def read_vocabulary(path: Path) -> Vocabulary:
    """Reads the special ids of a `tokenizer.json` from its added tokens.

    Raises:
        ContractViolation: the file is not a tokenizer.json with a vocabulary.
    """
    text = path.read_bytes()
    try:
        loaded: dict[str, Any] = json.loads(text)
        ids = dict(loaded["model"]["vocab"])
    except (ValueError, KeyError, TypeError) as error:
        raise ContractViolation(
            f"{path.name} is not a tokenizer.json with a vocabulary ({error!r}): "
            "materialise the asset 'tokenizer' again"
        ) from None
    special = {token["content"]: int(token["id"]) for token in loaded.get("added_tokens", [])}
    ids |= special

    def first(names: tuple[str, ...]) -> int | None:
        return next((special[name] for name in names if name in special), None)

    return Vocabulary(
        sha256=hashlib.sha256(text).hexdigest(),
        num_tokens=max(ids.values()) + 1,
        begin_id=first(_BEGIN),
        end_id=first(_END),
        pad_id=first(_PAD),
        unknown_id=first(_UNKNOWN),
    )
