"""What each use profile says of literal rows: licence x wrapper x access x generator, with reasons.

The tables were written by hand from what the licences and terms say, not from the code's answers.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tritter_assets.contracts.policy import PROFILE_ORDER, load_policy
from tritter_assets.contracts.policy_model import spdx_ids
from tritter_assets.licensing.admit import admit
from tritter_assets.verdict import Action
from tritter_assets_tests.licensing.conftest import POLICY_FOLDER

POLICY = load_policy(POLICY_FOLDER)

_REASONS = {
    "ok": ("keep", "passed"),
    "licence": ("drop", "license_not_admitted"),
    "licence?": ("quarantine", "license_unknown"),
    "dispute": ("quarantine", "license_conflict"),
    "wrapper": ("drop", "wrapper_not_admitted"),
    "wrapper?": ("quarantine", "wrapper_not_admitted"),
    "access": ("quarantine", "access_not_agreed"),
    "generator": ("drop", "generator_not_admitted"),
    "generator?": ("quarantine", "generator_unknown"),
    "split": ("drop", "evaluation_split"),
}

# concluded | wrapper | access | generator || strict | brief | research
AXES = """
MIT                                 | NONE            | none                 | human             || ok         | ok         | ok
0BSD                                | NONE            | none                 | human             || ok         | ok         | ok
WTFPL                               | NONE            | none                 | human             || ok         | ok         | ok
Beerware                            | NONE            | none                 | human             || ok         | ok         | ok
LicenseRef-scancode-public-domain   | NONE            | none                 | human             || ok         | ok         | ok
MulanPSL-2.0                        | NONE            | none                 | human             || ok         | ok         | ok
MIT OR Apache-2.0                   | NONE            | public_index         | human             || ok         | ok         | ok
MIT AND Apache-2.0                  | NONE            | public_index         | human             || ok         | ok         | ok
Apache-2.0 WITH LLVM-exception      | NONE            | none                 | human             || ok         | ok         | ok
GPL-2.0-only OR MIT                 | NONE            | none                 | human             || ok         | ok         | ok
GPL-2.0-only AND MIT                | NONE            | none                 | human             || licence    | licence    | ok
CC-BY-4.0                           | NONE            | none                 | human             || licence    | ok         | ok
ODC-By-1.0                          | NONE            | none                 | human             || licence    | ok         | ok
CDLA-Permissive-2.0                 | NONE            | none                 | human             || licence    | ok         | ok
O-UDA-1.0                           | NONE            | none                 | human             || licence    | ok         | ok
C-UDA-1.0                           | NONE            | none                 | human             || licence    | ok         | ok
CC-BY-SA-4.0                        | NONE            | none                 | human             || licence    | ok         | ok
CC-BY-SA-3.0-IGO                    | NONE            | none                 | human             || licence    | ok         | ok
ODbL-1.0                            | NONE            | none                 | human             || licence    | ok         | ok
CDLA-Sharing-1.0                    | NONE            | none                 | human             || licence    | ok         | ok
CC-BY-SA-4.0 OR GFDL-1.3-only       | NONE            | none                 | human             || licence    | ok         | ok
GFDL-1.3-only                       | NONE            | none                 | human             || licence    | licence    | ok
MPL-2.0                             | NONE            | none                 | human             || licence    | licence    | ok
LGPL-2.1-or-later                   | NONE            | none                 | human             || licence    | licence    | ok
EPL-2.0                             | NONE            | none                 | human             || licence    | licence    | ok
CDDL-1.0                            | NONE            | none                 | human             || licence    | licence    | ok
MS-RL                               | NONE            | none                 | human             || licence    | licence    | ok
Artistic-2.0                        | NONE            | none                 | human             || licence    | licence    | ok
OFL-1.1                             | NONE            | none                 | human             || licence    | licence    | ok
EUPL-1.2                            | NONE            | none                 | human             || licence    | licence    | ok
GPL-3.0-or-later                    | NONE            | none                 | human             || licence    | licence    | ok
AGPL-3.0-only                       | NONE            | none                 | human             || licence    | licence    | ok
GPL-2.0-only WITH Classpath-exception-2.0 | NONE      | none                 | human             || licence    | licence    | ok
JSON                                | NONE            | none                 | human             || licence    | licence    | ok
Hippocratic-2.1                     | NONE            | none                 | human             || licence    | licence    | ok
LicenseRef-OpenRAIL-M               | NONE            | none                 | human             || licence    | licence    | ok
BUSL-1.1                            | NONE            | none                 | human             || licence    | licence    | ok
SSPL-1.0                            | NONE            | none                 | human             || licence    | licence    | ok
Elastic-2.0                         | NONE            | none                 | human             || licence    | licence    | ok
CC-BY-NC-4.0                        | NONE            | none                 | human             || licence    | licence    | ok
CC-BY-ND-4.0                        | NONE            | none                 | human             || licence    | licence    | ok
3D-Slicer-1.0                       | NONE            | none                 | human             || licence    | licence    | ok
NONE                                | NONE            | none                 | human             || licence    | licence    | licence
LicenseRef-Proprietary              | NONE            | none                 | human             || licence    | licence    | licence
NOASSERTION                         | NONE            | none                 | human             || licence?   | licence?   | licence?
any-OSI                             | NONE            | none                 | human             || licence?   | licence?   | licence?
MIT AND NOASSERTION                 | NONE            | none                 | human             || licence?   | licence?   | licence?
MIT                                 | ODC-By-1.0      | none                 | human             || wrapper    | ok         | ok
MIT                                 | C-UDA-1.0       | none                 | human             || wrapper    | ok         | ok
MIT                                 | CC-BY-SA-4.0    | none                 | human             || wrapper    | ok         | ok
MIT                                 | CC-BY-NC-4.0    | none                 | human             || wrapper    | wrapper    | ok
MIT                                 | GPL-3.0-only    | none                 | human             || wrapper    | wrapper    | ok
MIT                                 | LicenseRef-Proprietary | none          | human             || wrapper    | wrapper    | wrapper
MIT                                 | NOASSERTION     | none                 | human             || wrapper?   | ok         | ok
GPL-3.0-only                        | MIT             | none                 | human             || licence    | licence    | ok
NOASSERTION                         | CC0-1.0         | none                 | human             || licence?   | licence?   | licence?
LicenseRef-Proprietary              | MIT             | none                 | human             || licence    | licence    | licence
MIT                                 | NONE            | common_crawl         | human             || access     | ok         | ok
MIT                                 | NONE            | hub_gate             | human             || access     | access     | access
MIT                                 | NONE            | stack_v1_terms       | human             || access     | access     | access
MIT                                 | NONE            | stack_v2_terms       | human             || access     | access     | access
MIT                                 | NONE            | swh_bulk             | human             || access     | access     | access
MIT                                 | NONE            | semantic_scholar_api | human             || access     | access     | access
MIT                                 | NONE            | kaggle_terms         | human             || access     | access     | access
MIT                                 | NONE            | unknown              | human             || access     | access     | access
MIT                                 | NONE            | no such terms        | human             || access     | access     | access
MIT                                 | NONE            | none                 | rule_based        || ok         | ok         | ok
MIT                                 | NONE            | none                 | mistral           || generator  | ok         | ok
MIT                                 | NONE            | none                 | olmo              || generator  | ok         | ok
MIT                                 | NONE            | none                 | starcoder2        || generator  | ok         | ok
MIT                                 | NONE            | none                 | deepseek_coder    || generator  | ok         | ok
MIT                                 | NONE            | none                 | llama             || generator  | generator  | ok
MIT                                 | NONE            | none                 | gemma             || generator  | generator  | ok
MIT                                 | NONE            | none                 | gpt_3_5           || generator  | generator  | generator
MIT                                 | NONE            | none                 | gpt_4             || generator  | generator  | generator
MIT                                 | NONE            | none                 | claude            || generator  | generator  | generator
MIT                                 | NONE            | none                 | gemini            || generator  | generator  | generator
MIT                                 | NONE            | none                 | strand_swarm      || generator? | ok         | ok
MIT                                 | NONE            | none                 | glaive            || generator? | generator? | ok
MIT                                 | NONE            | none                 | undisclosed       || generator? | generator? | ok
MIT                                 | NONE            | none                 | no such model     || generator? | generator? | generator?
CC-BY-4.0                           | CC-BY-4.0       | none                 | websight_pipeline || licence    | ok         | ok
Apache-2.0                          | CC-BY-NC-4.0    | hub_gate             | gpt_4             || wrapper    | wrapper    | access
Apache-2.0                          | NONE            | hub_gate             | gpt_4             || access     | access     | access
GPL-3.0-only                        | CC-BY-NC-4.0    | hub_gate             | gpt_4             || licence    | licence    | access
"""  # noqa: E501 - a table to be read as one

# method | confidence | split || strict | brief | research, for MIT written by people
EVIDENCE = """
spdx_header      | 0.99 |            || ok       | ok       | ok
header_notice    | 0.9  | train      || ok       | ok       | ok
license_file     | 0.8  |            || ok       | ok       | ok
package_metadata | 0.85 |            || ok       | ok       | ok
dep5             | 0.9  |            || ok       | ok       | ok
declared_column  | 0.9  |            || ok       | ok       | ok
inherited        | 0.9  |            || ok       | ok       | ok
decision         | 0.9  |            || ok       | ok       | ok
wrapper          | 0.9  |            || licence? | ok       | ok
none             | 0.9  |            || licence? | licence? | licence?
hearsay          | 0.9  |            || licence? | licence? | licence?
license_file     | 0.79 |            || dispute  | ok       | ok
license_file     | 0.5  |            || dispute  | ok       | ok
license_file     | 0.49 |            || dispute  | dispute  | ok
license_file     | 0.29 |            || dispute  | dispute  | dispute
license_file     | 0.99 | test       || split    | split    | split
license_file     | 0.99 | Validation || split    | split    | split
license_file     | 0.99 | dev        || split    | split    | split
"""

# licence: what brief or research asks of who uses it
OBLIGATIONS = """
MIT: attribution notice_text
BSD-3-Clause: attribution notice_text
Apache-2.0: attribution notice_text patent state_changes
CC0-1.0:
Unlicense:
WTFPL:
LicenseRef-scancode-public-domain:
CC-BY-4.0: attribution state_changes
CC-BY-3.0-IGO: attribution state_changes
ODC-By-1.0: attribution database_right
ODbL-1.0: attribution database_right share_alike
C-UDA-1.0: computational_use
O-UDA-1.0: attribution
CDLA-Permissive-2.0: notice_text
CDLA-Sharing-1.0: attribution notice_text share_alike
CC-BY-SA-4.0: attribution share_alike state_changes
CC-BY-SA-2.0-UK: attribution share_alike
CC-BY-NC-4.0: attribution non_commercial state_changes
CC-BY-ND-2.0: attribution no_derivatives
CC-BY-ND-4.0: attribution no_derivatives
CC-BY-NC-ND-3.0: attribution no_derivatives non_commercial
CC-BY-NC-SA-2.0-FR: attribution non_commercial share_alike
GPL-3.0-only: attribution notice_text share_alike source_disclosure
MPL-2.0: attribution notice_text share_alike source_disclosure
SSPL-1.0: attribution notice_text share_alike source_disclosure
BUSL-1.1: attribution notice_text use_restrictions
Elastic-2.0: attribution notice_text use_restrictions
JSON: attribution field_of_use notice_text
Hippocratic-2.1: attribution field_of_use notice_text
LicenseRef-OpenRAIL-M: attribution use_restrictions
"""

# category: ids that people get wrong
CATEGORIES = """
public_domain: CC0-1.0 Unlicense 0BSD MIT-0 PDDL-1.0 LicenseRef-scancode-public-domain
permissive: MIT Apache-2.0 BSL-1.0 WTFPL Beerware MS-PL AFL-3.0 PSF-2.0 UPL-1.0 ECL-2.0 MulanPSL-2.0
open_data: CC-BY-4.0 CC-BY-3.0-US ODC-By-1.0 CDLA-Permissive-1.0 O-UDA-1.0 OGL-UK-3.0 etalab-2.0
computational_use: C-UDA-1.0
share_alike: CC-BY-SA-4.0 CC-BY-SA-3.0-DE ODbL-1.0 CDLA-Sharing-1.0 CC-SA-1.0
weak_copyleft: LGPL-3.0-only MPL-2.0 EPL-2.0 CDDL-1.1 MS-RL Artistic-2.0 OFL-1.1-RFN Ruby SISSL
copyleft: GPL-2.0-only AGPL-3.0-or-later EUPL-1.2 OSL-3.0 CECILL-2.0 RPL-1.5 Sleepycat
use_restricted: JSON Hippocratic-2.1 LicenseRef-OpenRAIL-M BSD-3-Clause-No-Nuclear-License
source_available: BUSL-1.1 SSPL-1.0 Elastic-2.0 FSL-1.1-MIT
non_commercial: CC-BY-NC-4.0 CC-BY-ND-2.5 PolyForm-Noncommercial-1.0.0 JPL-image
proprietary: NONE LicenseRef-Proprietary
unreviewed: 3D-Slicer-1.0 CERN-OHL-1.2 MS-LPL
unknown: NOASSERTION any-OSI
"""


def lines(table: str) -> list[list[str]]:
    rows = (line.replace("||", "|").split("|") for line in table.strip().splitlines())
    return [[cell.strip() for cell in row] for row in rows]


def judge(use_profile: str, **facts: object) -> tuple[str, str]:
    base = {
        "concluded": "MIT", "wrapper": "NONE", "access_terms": "none", "generator": "human",
        "method": "license_file", "confidence": 0.95, "split": None,
    }  # fmt: skip
    found = admit(policy=POLICY, use_profile=use_profile, **(base | facts))  # type: ignore[arg-type]
    return found.action.value, found.reason.value


@pytest.mark.parametrize("row", lines(AXES), ids=lambda row: "-".join(row[:4]))
def test_axes(row: list[str]) -> None:
    concluded, wrapper, access, generator, *expected = row
    facts = {
        "concluded": concluded, "wrapper": wrapper, "access_terms": access, "generator": generator,
    }  # fmt: skip
    found = [judge(name, **facts) for name in PROFILE_ORDER]
    assert found == [_REASONS[word] for word in expected]


@pytest.mark.parametrize("row", lines(EVIDENCE), ids=lambda row: "-".join(row[:3]))
def test_evidence(row: list[str]) -> None:
    method, confidence, split, *expected = row
    facts = {"method": method, "confidence": float(confidence), "split": split or None}
    found = [judge(name, **facts) for name in PROFILE_ORDER]
    assert found == [_REASONS[word] for word in expected]


@pytest.mark.parametrize("line", OBLIGATIONS.strip().splitlines())
def test_obligations(line: str) -> None:
    spdx, _, owed = line.partition(":")
    assert sorted(POLICY.obligations_of(spdx)) == owed.split()


def test_obligations_come_of_every_axis() -> None:
    found = admit(
        concluded="MIT", wrapper="ODC-By-1.0", access_terms="common_crawl", generator="starcoder2",
        method="license_file", confidence=0.9, split=None, policy=POLICY, use_profile="brief",
    )  # fmt: skip
    assert found.action is Action.KEEP
    assert found.obligations == (
        "access_condition", "attribution", "database_right", "notice_text", "use_restrictions",
    )  # fmt: skip
    assert len(found.warnings) == 2


def test_every_obligation_is_owed_by_something() -> None:
    owed = {key for spdx in spdx_ids() for key in POLICY.obligations_of(spdx)}
    for terms in (*POLICY.access_terms.values(), *POLICY.generators.values()):
        owed.update(terms.obligations)
    assert owed == set(POLICY.obligations)


@pytest.mark.parametrize("line", CATEGORIES.strip().splitlines())
def test_categories(line: str) -> None:
    category, _, ids = line.partition(":")
    assert {spdx: POLICY.category_of(spdx).key for spdx in ids.split()} == dict.fromkeys(
        ids.split(), category
    )


def test_creative_commons_obligations_are_what_the_letters_say() -> None:
    for spdx in spdx_ids():
        if not spdx.startswith(("CC-BY", "CC-SA")):
            continue
        owed = set(POLICY.obligations_of(spdx))
        for letters, obligation in (
            ("-BY", "attribution"),
            ("-NC", "non_commercial"),
            ("-ND", "no_derivatives"),
            ("-SA", "share_alike"),
        ):
            assert (letters in spdx) is (obligation in owed), (spdx, obligation)


def test_the_whole_spdx_list_has_a_category() -> None:
    """667 licences of the SPDX list; what nobody judged is closed."""
    from license_expression import get_license_index

    ids = {
        entry["spdx_license_key"]
        for entry in get_license_index()
        if entry["spdx_license_key"]
        and not entry["spdx_license_key"].startswith("LicenseRef-")
        and not entry["is_exception"]
    }
    counts = Counter(POLICY.category_of(spdx).key for spdx in ids)
    assert counts == {
        "public_domain": 18,
        "permissive": 210,
        "open_data": 25,
        "computational_use": 1,
        "share_alike": 13,
        "weak_copyleft": 115,
        "copyleft": 64,
        "use_restricted": 16,
        "unreviewed": 163,
        "source_available": 5,
        "non_commercial": 32,
        "proprietary": 3,
        "unknown": 2,
    }
    listed = {spdx for category in POLICY.categories.values() for spdx in category.licenses}
    for spdx in ids - listed:
        assert POLICY.category_of(spdx).lane == "closed", spdx
