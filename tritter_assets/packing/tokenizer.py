"""Trains the tokenizer: byte-level BPE over a hash sample of the mixes.

    in    mix/<phase> and the tables they name
    out   artifact set `tokenizer`: tokenizer.json, tokenizer_config.json, and facts

Every byte sequence that is UTF-8 can be encoded and comes back unchanged: no normalisation, no
unknown token. The pre-tokenizer is Llama 3's pattern, which llama.cpp knows as `llama-bpe`; digits
go in groups of three, runs of spaces stay together, which indentation needs. Held-out groups take
no part. The same rows give the same bytes.

Cost: 20 MB of text, about 4,000 merges: see the room's benchmark; memory holds the sample once.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.mixes.sample import calibrate, salt_of, sample_hash
from tritter_assets.packing.content import ContentReader
from tritter_assets.packing.heldout import is_heldout
from tritter_assets.packing.tokens import ASSISTANT, END_OF_TEXT, PAD, SPECIAL_TOKENS, USER

if TYPE_CHECKING:
    from tokenizers import Tokenizer

STAGE_VERSION = "1"

TOKENIZER_ASSET = "tokenizer"
TOKENIZER_FILE = "tokenizer.json"

SAMPLE_BYTES = 20_000_000
"""Text to train on; more moves the bytes per token of a 4,096-entry vocabulary by under 1 %."""

PRE_TOKENIZER_NAME = "llama-bpe"
PRE_TOKENIZER_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)

CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}"
    + ASSISTANT
    + "{{ message['content'] }}"
    + END_OF_TEXT
    + "{% else %}"
    + USER
    + "{{ message['content'] }}{% endif %}{% endfor %}"
    + "{% if add_generation_prompt %}"
    + ASSISTANT
    + "{% endif %}"
)

_CLIP_CHARS = 65_536
"""Only the beginning of a longer document is trained on, so that no file rules the vocabulary."""
_MEASURED_BYTES = 500_000
"""Text per language over which bytes per token is measured."""
_BYTES_PER_ESTIMATED_TOKEN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenizerReport:
    """What the tokenizer was trained on and how well it compresses."""

    vocab_size: int
    trained_documents: int
    trained_bytes: int
    bytes_per_token: float
    """Over the measured text of all languages, each weighted by its part of the sample."""
    bytes_per_token_by_language: Mapping[str, float]
    data_version: str


def code_version(*, phases: Sequence[str], vocab_size: int) -> str:
    """Returns the version of everything but data that decides the tokenizer."""
    from importlib import metadata

    digest = fingerprint_of(
        metadata.version("tokenizers"),
        sorted(phases),
        vocab_size,
        SAMPLE_BYTES,
        PRE_TOKENIZER_PATTERN,
        SPECIAL_TOKENS,
        CHAT_TEMPLATE,
        _CLIP_CHARS,
    )
    return f"{STAGE_VERSION}.{digest}"


def train_tokenizer(
    lake: Lake,
    *,
    phases: Sequence[str],
    vocab_size: int,
    fingerprint: str,
    sample_bytes: int = SAMPLE_BYTES,
) -> TokenizerReport:
    """Trains on the mixes of `phases` and stores the artifact set `tokenizer`.

    Args:
        lake: The lake.
        phases: Phases whose mixes exist.
        vocab_size: Entries, special tokens and the 256 bytes included; a small sample may give
            fewer.
        fingerprint: Of `code_version` and the mixes' data versions.
        sample_bytes: Text to train on.

    Raises:
        MissingProvenance: a row's content is not what its mix recorded, or there is no row.
    """
    chosen = _sample_rows(lake, phases, sample_bytes)
    reader = ContentReader(lake)
    by_language: dict[str, list[str]] = {}
    num_documents = 0
    for frame in reader.batches(chosen):
        num_documents += frame.height
        for language, content in frame.select("language", "content").iter_rows():
            by_language.setdefault(language or "none", []).append(content[:_CLIP_CHARS])
    texts = [text for _, group in sorted(by_language.items()) for text in group]
    tokenizer = _train(texts, vocab_size)
    sizes = {name: sum(len(text.encode()) for text in group) for name, group in by_language.items()}
    rates = {name: _rate(tokenizer, group) for name, group in sorted(by_language.items())}
    num_tokens = sum(sizes[name] / rates[name] for name in rates)
    report = TokenizerReport(
        vocab_size=tokenizer.get_vocab_size(),
        trained_documents=num_documents,
        trained_bytes=sum(sizes.values()),
        bytes_per_token=round(sum(sizes.values()) / num_tokens, 4) if num_tokens else 0.0,
        bytes_per_token_by_language={name: round(rate, 4) for name, rate in rates.items()},
        data_version="",
    )
    with tempfile.TemporaryDirectory() as folder:
        files = _save(tokenizer, Path(folder))
        state = ArtifactStore(lake).put(
            TOKENIZER_ASSET, files, fingerprint=fingerprint, facts=_facts(tokenizer, report)
        )
    return TokenizerReport(
        vocab_size=report.vocab_size,
        trained_documents=report.trained_documents,
        trained_bytes=report.trained_bytes,
        bytes_per_token=report.bytes_per_token,
        bytes_per_token_by_language=report.bytes_per_token_by_language,
        data_version=state.data_version,
    )


def load_tokenizer(lake: Lake, *, cache: Path | None = None) -> Tokenizer:
    """Opens the lake's tokenizer. Text that spells a special token is encoded as text.

    Args:
        lake: The lake.
        cache: Folder for a copy when the lake is remote; a temporary one by default.
    """
    from tokenizers import Tokenizer

    if cache is None and not lake.location.is_local:
        cache = Path(tempfile.gettempdir()) / "tritter-artifacts"
    path = ArtifactStore(lake, cache).open_local(TOKENIZER_ASSET, TOKENIZER_FILE)
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.encode_special_tokens = True
    return tokenizer


def _sample_rows(lake: Lake, phases: Sequence[str], sample_bytes: int) -> pl.DataFrame:
    columns = ["id", "table", "source", "shard", "content_sha256", "estimated_tokens", "group_id"]
    rows = pl.concat([lake.scan(f"mix/{phase}").select(columns).collect() for phase in phases])
    rows = rows.unique("id", keep="any").sort("id")
    rows = rows.filter(~is_heldout(rows["group_id"]))
    if rows.is_empty():
        raise MissingProvenance(
            f"the mixes of {', '.join(phases)} hold no row to train a tokenizer on: "
            "materialise them from sources that have rows"
        )
    hashes = sample_hash(rows["id"], salt_of("tokenizer"))
    wanted = sample_bytes // _BYTES_PER_ESTIMATED_TOKEN
    if int(rows["estimated_tokens"].sum()) <= wanted:
        return rows
    draw = calibrate(hashes, rows["estimated_tokens"], wanted)
    return rows.filter(draw.epochs(hashes) > 0)


def _train(texts: Sequence[str], vocab_size: int) -> Tokenizer:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_TOKENIZER_PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        show_progress=False,
        special_tokens=[AddedToken(t, special=True, normalized=False) for t in SPECIAL_TOKENS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=32,
    )
    tokenizer.train_from_iterator(_chunks(texts), trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def _chunks(texts: Sequence[str], size: int = 256) -> Iterator[list[str]]:
    for start in range(0, len(texts), size):
        yield list(texts[start : start + size])


def _rate(tokenizer: Tokenizer, texts: Sequence[str]) -> float:
    chosen: list[str] = []
    size = 0
    for text in texts:
        if size >= _MEASURED_BYTES:
            break
        chosen.append(text)
        size += len(text.encode())
    encoded = tokenizer.encode_batch_fast(chosen, add_special_tokens=False)
    return size / max(sum(len(one) for one in encoded), 1)


def _save(tokenizer: Tokenizer, folder: Path) -> dict[str, Path]:
    path = folder / TOKENIZER_FILE
    tokenizer.save(str(path), pretty=False)
    config = folder / "tokenizer_config.json"
    config.write_text(
        json.dumps(
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "eos_token": END_OF_TEXT,
                "pad_token": PAD,
                "additional_special_tokens": [
                    token for token in SPECIAL_TOKENS if token not in (END_OF_TEXT, PAD)
                ],
                "clean_up_tokenization_spaces": False,
                "chat_template": CHAT_TEMPLATE,
            },
            indent=2,
        )
        + "\n",
        encoding="utf-8",
    )
    return {TOKENIZER_FILE: path, "tokenizer_config.json": config}


def _facts(tokenizer: Tokenizer, report: TokenizerReport) -> dict[str, Any]:
    return {
        "vocab_size": report.vocab_size,
        "trained_documents": report.trained_documents,
        "trained_bytes": report.trained_bytes,
        "bytes_per_token": report.bytes_per_token,
        "bytes_per_token_by_language": dict(report.bytes_per_token_by_language),
        "special_tokens": {token: tokenizer.token_to_id(token) for token in SPECIAL_TOKENS},
        "pre_tokenizer": PRE_TOKENIZER_NAME,
    }
