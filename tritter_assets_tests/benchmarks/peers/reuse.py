"""reuse's extraction of SPDX tags and copyright lines; it reads no notices."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from tritter_assets_tests.benchmarks.peers.measure import answer, cpu_seconds, texts

extract: Any = import_module("reuse.extract")


def main() -> None:
    contents = texts()
    tagged = copyrighted = refused = 0
    begin = cpu_seconds()
    for text in contents:
        try:
            info = extract.extract_reuse_info(text)
        except Exception:  # an expression in test data that it cannot parse
            refused += 1
            continue
        tagged += bool(info.spdx_expressions)
        copyrighted += bool(info.copyright_notices)
    answer(cpu_seconds() - begin, tagged=tagged, copyrighted=copyrighted, refused=refused)


if __name__ == "__main__":
    main()
