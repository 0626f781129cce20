"""Accuracy of licence conclusions on labels that nobody here wrote.

    python -m tritter_assets_tests.benchmarks.licence_accuracy

| set | answers | label |
|---|---|---|
| texts | SPDX texts (npm: spdx-license-list) under ten edits, cut, and joined in pairs | SPDX id |
| packages | licence files of 300 source distributions | the package's own metadata |
| debian | files of 120 Debian source packages, concluded without `debian/` | DEP-5 paragraph |
| oracle | heads of 200 files of ansible-core, numpy, cryptography and others | ScanCode |
| labelled | rows of your own | their column `label` |

The index is made of askalono's copies of the SPDX texts, an older release, so `texts` measures the
edits and not knowledge of unseen licences; 29 of its 728 ids are unknown to license-expression and
are unlabelled. How labels are taken and left is stated in `licence_sets`, `licence_edits` and
`licence_oracle`; families in `licence_tally`. `permissive_precision` and `permissive_recall` pool
the answers of all sets; `sets` has each alone. `copyleft_as_permissive` counts copyleft labels
concluded permissive; `wrong` names up to 40 of them, and every answer whose family differs from its
label's is written to `.bench/licences/differing.json`. `hard` are facts of three packages: files of
numpy and cryptography by conclusion, and of ansible-core by the family of what their heads say. The
peer is askalono at 0.9, asked about every 90th edited text: it takes a third of a second for one.

`BENCH_CORPUS` names a folder instead (sdists; pairs of `*.orig.tar.*` and `*.debian.tar.*`; Parquet
of path, content, label), or one such Parquet file. `SCANCODE` names ScanCode's command; else it is
installed under `.bench/peers`, and where that fails the set `oracle` is empty and says why.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path
from typing import Any

from tritter_assets.compliance.local_files import local_documents
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.expression import canonical
from tritter_assets.licensing.header import scan_header
from tritter_assets.record import NOASSERTION
from tritter_assets.settings import load_settings
from tritter_assets_tests.benchmarks.harness import ROOT, report
from tritter_assets_tests.benchmarks.licence_edits import edited_answers
from tritter_assets_tests.benchmarks.licence_inputs import (
    FOLDER,
    Inputs,
    given_inputs,
    pinned_inputs,
)
from tritter_assets_tests.benchmarks.licence_oracle import NoOracle, oracle_answers
from tritter_assets_tests.benchmarks.licence_sets import (
    debian_answers,
    labelled_answers,
    package_answers,
)
from tritter_assets_tests.benchmarks.licence_tally import PERMISSIVE, Answer, Tally, family_of

PEER_EVERY = 90
_NAMED = 40


def main() -> None:
    named = os.environ.get("BENCH_CORPUS")
    inputs = given_inputs(Path(named)) if named else pinned_inputs()
    catalog = load_settings(ROOT, {}).catalog()
    started = time.process_time()
    skipped: list[str] = list(inputs.missing)
    tallies: dict[str, Tally] = defaultdict(Tally)
    pooled = Tally()
    no_oracle = ""

    def count(answers: Any) -> None:
        for answer in answers:
            parts = answer.group.split("/")
            for key in {parts[0], answer.group}:
                tallies[key].add([answer])
            pooled.add([answer])

    peer = _Peer()
    texts = {s: t for s, t in inputs.texts.items() if canonical(s) is not None}
    count(peer.beside(edited_answers(texts, lambda text: identify_text(text).spdx, peer.see)))
    count(package_answers(inputs.sdists, catalog.policy))
    count(debian_answers(inputs.debian, catalog, skipped))
    count(labelled_answers(inputs.labelled))
    try:
        count(oracle_answers(inputs.hard))
    except NoOracle as error:
        no_oracle = str(error)
    FOLDER.mkdir(parents=True, exist_ok=True)
    rows = [[a.group, a.name, a.label, a.found, a.contradicted] for a in pooled.differing]
    (FOLDER / "differing.json").write_text(json.dumps(rows, indent=0))
    ours = pooled.precision(PERMISSIVE) or 0.0
    report(
        "licence_accuracy",
        ours,
        "precision of permissive conclusions",
        {"askalono": peer.tally.precision(PERMISSIVE) or 0.0},
        None,
        permissive_precision=pooled.precision(PERMISSIVE),
        permissive_recall=pooled.recall(PERMISSIVE),
        copyleft_as_permissive=pooled.copyleft_as_permissive,
        sets={key: tally.summary() for key, tally in tallies.items() if "/" not in key},
        edits={
            key.partition("/")[2]: {
                "answers": sum(tally.pairs.values()),
                "precision": tally.precision(PERMISSIVE),
                "recall": tally.recall(PERMISSIVE),
            }
            for key, tally in tallies.items()
            if "/" in key
        },
        pooled=pooled.summary(),
        wrong=[f"{a.name}: {a.label} -> {a.found}" for a in pooled.wrong[:_NAMED]],
        askalono_beside={"same_texts": peer.ours.summary(), "askalono": peer.tally.summary()},
        hard={path.name.rsplit("-", 1)[0]: _facts(path, catalog) for path in _facts_of(inputs)},
        oracle_skipped=no_oracle,
        skipped=skipped,
        cpu_s=round(time.process_time() - started, 1),
    )


class _Peer:
    """Asks askalono about some of the same texts."""

    def __init__(self) -> None:
        self.tally, self.ours = Tally(), Tally()
        self._seen: str = ""
        self._number = 0

    def see(self, text: str) -> None:
        """Keeps the text that the next answer is about."""
        self._seen = text

    def beside(self, answers: Any) -> Any:
        """Passes answers on, asking askalono about every `PEER_EVERY`th."""
        for answer in answers:
            self._number += 1
            if self._number % PEER_EVERY == 0:
                found = import_module("askalono").identify(self._seen)
                name = found.name if found.score >= 0.9 else NOASSERTION
                theirs = canonical(str(name)) or NOASSERTION
                self.tally.add([Answer(answer.group, answer.name, answer.label, theirs)])
                self.ours.add([answer])
            yield answer


def _facts_of(inputs: Inputs) -> list[Path]:
    wanted = ("ansible", "numpy", "cryptography", "tokenizers")
    return [path for path in inputs.hard if path.name.startswith(wanted)]


def _facts(path: Path, catalog: Catalog) -> dict[str, Any]:
    concluded: Counter[str] = Counter()
    heads: Counter[str] = Counter()
    for frame in local_documents(path, catalog):
        for content, licence in frame.select("content", "license_concluded").iter_rows():
            head = scan_header(content)
            concluded[licence] += 1
            if head is not None and head.expression is not None:
                heads[f"{family_of(head.expression)} -> {family_of(licence)}"] += 1
    return {
        "files": concluded.total(),
        "unknown": concluded[NOASSERTION],
        "concluded": dict(concluded.most_common(5)),
        "head_to_conclusion": dict(sorted(heads.items())),
    }


if __name__ == "__main__":
    main()
