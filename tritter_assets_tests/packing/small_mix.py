"""A lake with mixes and a tokenizer, ready to be packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tritter_assets.lake import Lake
from tritter_assets.mixes.build import build_mix
from tritter_assets.packing.tokenizer import train_tokenizer
from tritter_assets_tests.mixes.lake_of_rows import (
    FINGERPRINT,
    Row,
    catalog_of,
    code,
    document,
    mix_of,
    write_filtered,
    write_indexes,
)

MIX = """
phase: phase1_base
title: Everything
fim_rate: {fim_rate}
components:
  - {{name: all, weight: 1.0, max_epochs: {epochs}, when_unavailable: redistribute, select: {{}}}}
"""

OTHER_SCRIPTS = "Na\u00efve caf\u00e9 \u2013 \u65e5\u672c\u8a9e \U0001f980"

SPECIAL_TEXT = "print('<|endoftext|> is text here, <|user|> too')\n"


def instruction(number: int, response: str = "return it") -> Row:
    ask = f"Write function number {number}"
    return document(
        "chat",
        f"row/{number}",
        f"{ask}\n{response}",
        modality="instruction",
        instruction=ask,
        response=response,
    )


def preference(number: int, chosen: str = "good answer", rejected: str = "bad") -> Row:
    ask = f"Improve function number {number}, please"
    return document(
        "pairs",
        f"row/{number}",
        f"{ask}\n{chosen}",
        modality="preference",
        instruction=ask,
        chosen=chosen,
        rejected=rejected,
    )


def mixed_rows() -> list[Row]:
    """Code, prose with other scripts, instructions and preference pairs."""
    prose = [
        document(
            "docs",
            f"docs/{number}.md",
            f"# Page {number}\n\n{OTHER_SCRIPTS} {number}.\n",
            language="markdown",
            modality="text",
        )
        for number in range(12)
    ]
    return [
        *code("a", 40),
        document("a", "special.py", SPECIAL_TEXT * 3),
        *prose,
        *(instruction(number, "x = 1\n" * (number % 9 + 1)) for number in range(15)),
    ]


def build(
    lake: Lake,
    folder: Path,
    rows: list[Row],
    *,
    fim_rate: float = 0.0,
    epochs: int = 1,
    mix_tokens: int = 10**6,
    vocab_size: int = 360,
) -> Any:
    """Writes the rows, a mix that takes all of them, and a tokenizer; returns the catalogue."""
    write_filtered(lake, rows)
    write_indexes(lake)
    mix = mix_of(folder, MIX.format(fim_rate=fim_rate, epochs=epochs))
    catalog = catalog_of({row["source"]: () for row in rows}, [mix], mix_tokens=mix_tokens)
    build_mix(lake, mix, catalog=catalog, fingerprint=FINGERPRINT)
    train_tokenizer(lake, phases=["phase1_base"], vocab_size=vocab_size, fingerprint=FINGERPRINT)
    return catalog
