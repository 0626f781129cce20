"""Models that find names in prose: spaCy's English pipeline, and token classifiers as StarPII.

Both are read from local files, without network and without code of theirs. A model that is not at
hand is a `ModelAbsent` with the reason, never an empty finding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from tritter_assets.errors import ContractViolation

_OVERLAP_TOKENS = 64


class Name(NamedTuple):
    """What a model takes for a name."""

    start: int
    end: int
    label: str
    """A value of the policy's `labels`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NameModel:
    """A loaded model."""

    title: str
    find: Callable[[Sequence[str]], list[list[Name]]]
    """Texts in; names of each out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelAbsent:
    """Why a model was not run."""

    title: str
    reason: str


def load_spacy(settings: Mapping[str, Any]) -> NameModel | ModelAbsent:
    """Loads the pinned spaCy model; its package is verified first and never imported.

    Raises:
        ContractViolation: what is installed is not what the policy pins.
    """
    package, version = str(settings["package"]), str(settings["version"])
    title = f"{package} {version}"
    try:
        installed = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        return ModelAbsent(title=title, reason="install the extra `ner`")
    folder = Path(str(installed.locate_file(str(settings["data"]))))
    found = folder_sha256(folder) if installed.version == version else installed.version
    if found != settings["sha256"]:
        raise ContractViolation(
            f"{package} {installed.version} at {folder}: {found}, policy/name_audit.yaml pins "
            f"{version} with {settings['sha256']}; install the pinned version, or review the new "
            "one and pin its hash"
        )
    import spacy

    # Only what entities need: twice as fast.
    pipeline = spacy.load(folder, exclude=["parser", "tagger", "lemmatizer", "attribute_ruler"])
    labels: Mapping[str, str] = settings["labels"]

    def find(texts: Sequence[str]) -> list[list[Name]]:
        return [
            [
                Name(entity.start_char, entity.end_char, labels[entity.label_])
                for entity in document.ents
                if entity.label_ in labels
            ]
            for document in pipeline.pipe(texts, batch_size=64)
        ]

    return NameModel(title=title, find=find)


def folder_sha256(folder: Path) -> str:
    """Returns one hash over the paths and contents of a folder's files, compiled files apart."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            total.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def load_token_classifier(
    settings: Mapping[str, Any], project_root: Path
) -> NameModel | ModelAbsent:
    """Loads a token classifier from a local folder: safetensors only, no code, no network."""
    if not settings["folder"]:
        return ModelAbsent(
            title="token classifier",
            reason="set token_classifier.folder in policy/name_audit.yaml to a folder of weights",
        )
    folder = project_root / str(settings["folder"])
    title = folder.name
    needed = ("model.safetensors", "config.json", "tokenizer.json")
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        return ModelAbsent(title=title, reason=f"{folder} lacks {', '.join(missing)}")
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_fast=True
    )
    model: Any = AutoModelForTokenClassification.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False, use_safetensors=True
    )
    model.eval()
    kinds = [str(model.config.id2label[i]) for i in range(model.config.num_labels)]
    longest = min(
        int(tokenizer.model_max_length), int(getattr(model.config, "max_position_embeddings", 512))
    )

    def find(texts: Sequence[str]) -> list[list[Name]]:
        return [
            _names_of(*_tagged(text, tokenizer, model, longest, torch), kinds, settings["labels"])
            for text in texts
        ]

    return NameModel(title=title, find=find)


def _tagged(
    text: str, tokenizer: Any, model: Any, longest: int, torch: Any
) -> tuple[list[tuple[int, int]], list[int]]:
    """Returns span and label of each token; windows overlap, the one with more context decides."""
    overlap = min(_OVERLAP_TOKENS, longest // 4)
    windows = tokenizer(
        text,
        truncation=True,
        max_length=longest,
        stride=overlap,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    best: dict[tuple[int, int], tuple[int, int]] = {}
    for ids, offsets, special in zip(
        windows["input_ids"],
        windows["offset_mapping"],
        windows["special_tokens_mask"],
        strict=True,
    ):
        with torch.inference_mode():
            labels = model(input_ids=torch.tensor([ids])).logits[0].argmax(-1).tolist()
        for place, (span, label) in enumerate(zip(offsets, labels, strict=True)):
            margin = min(place, len(ids) - 1 - place)
            if not special[place] and margin >= best.get(tuple(span), (-1, 0))[0]:
                best[tuple(span)] = (margin, label)
    spans = sorted(best)
    return spans, [best[span][1] for span in spans]


def _names_of(
    spans: Sequence[tuple[int, int]],
    tags: Sequence[int],
    kinds: Sequence[str],
    labels: Mapping[str, str],
) -> list[Name]:
    """Joins tokens of one entity: B- begins one, I- goes on, and so does a tag without either."""
    found: list[Name] = []
    previous = ""
    for (start, end), tag in zip(spans, tags, strict=True):
        kind = kinds[tag]
        entity = kind.partition("-")[2] if kind[:2] in {"B-", "I-"} else kind
        label = labels.get(entity)
        if label is not None:
            if previous == entity and not kind.startswith("B-"):
                found[-1] = found[-1]._replace(end=end)
            else:
                found.append(Name(start, end, label))
        previous = entity
    return found
