"""Special tokens, in the order of their ids. Text never becomes one, whatever it spells."""

from __future__ import annotations

END_OF_TEXT = "<|endoftext|>"
PAD = "<|pad|>"
FIM_PREFIX = "<|fim_prefix|>"
FIM_MIDDLE = "<|fim_middle|>"
FIM_SUFFIX = "<|fim_suffix|>"
USER = "<|user|>"
ASSISTANT = "<|assistant|>"
REPO = "<|repo|>"
FILE = "<|file|>"

SPECIAL_TOKENS = (
    END_OF_TEXT,
    PAD,
    FIM_PREFIX,
    FIM_MIDDLE,
    FIM_SUFFIX,
    USER,
    ASSISTANT,
    REPO,
    FILE,
)
"""Their ids are their places in this tuple: 0 ends a document, 1 pads."""
