"""Whether the tables of the near index stand as the last update of a cluster left them.

The commit of the index, which is the last of an update, carries which versions of the other
tables belong to it and by what they were made. A run that was killed, another engine, or anybody
else who wrote one of the tables leaves them not standing, and the next update finds all anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tritter_assets.cluster.index_update import IndexUpdate
from tritter_assets.dedup.band_table import NEAR_BANDS
from tritter_assets.dedup.index import NEAR_INDEX
from tritter_assets.dedup.near import NEAR_PAIRS, code_version
from tritter_assets.lake import Lake

_VERSION = "1"


def standing_of(lake: Lake, update: IndexUpdate, *, is_tied: bool) -> Mapping[str, Any]:
    """Returns what the commit of the index has to carry.

    Args:
        lake: The lake, bands and pairs written.
        update: What is done.
        is_tied: Whether an id stands for two contents: the next update finds all anew, then.
    """
    families = "" if update.families is None else update.families.digest
    return {
        "made_by": [_VERSION, code_version(update.threshold), families],
        "tables": {name: lake.table_version(name) for name in (NEAR_BANDS, NEAR_PAIRS)},
        "priorities": {item.source: item.priority for item in update.inputs},
        "is_tied": is_tied,
    }


def is_standing(lake: Lake, update: IndexUpdate) -> bool:
    """True when an update can go on from the tables as they are.

    It cannot when a source has another priority: who is first of a band may be another then.
    """
    if not all(lake.exists(table) for table in (NEAR_BANDS, NEAR_PAIRS, NEAR_INDEX)):
        return False
    stored = json.loads(lake.history(NEAR_INDEX, 1)[0].get("tritter", "{}"))
    if not stored:
        return False
    now = standing_of(lake, update, is_tied=False)
    priorities = stored["priorities"]
    repriced = any(priorities.get(s, value) != value for s, value in now["priorities"].items())
    return not repriced and {**stored, "priorities": {}} == {**now, "priorities": {}}
