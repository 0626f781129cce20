"""Rows as upstream lays them out, one case per contract: files, what they become, what is skipped.

The rows are written for these tests; the file names, columns and types are upstream's. `CASES` maps
a contract's id to its case, and a test holds that every contract with columns has one.
"""

from __future__ import annotations

from tritter_assets_tests.sources.upstream_rows.case import Case
from tritter_assets_tests.sources.upstream_rows.elsewhere import CASES as ELSEWHERE
from tritter_assets_tests.sources.upstream_rows.functions import CASES as FUNCTIONS
from tritter_assets_tests.sources.upstream_rows.images import CASES as IMAGES
from tritter_assets_tests.sources.upstream_rows.instructions import CASES as INSTRUCTIONS
from tritter_assets_tests.sources.upstream_rows.preferences import CASES as PREFERENCES
from tritter_assets_tests.sources.upstream_rows.stack import CASES as STACK
from tritter_assets_tests.sources.upstream_rows.texts import CASES as TEXTS

CASES: dict[str, Case] = {
    **STACK,
    **INSTRUCTIONS,
    **FUNCTIONS,
    **TEXTS,
    **IMAGES,
    **PREFERENCES,
    **ELSEWHERE,
}

__all__ = ["CASES", "Case"]
