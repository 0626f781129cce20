"""Pins for crate contracts, from a Cargo registry's sparse index.

    python -m tritter_assets.sources.crate_index serde ndarray > pins.yaml

The index holds one file per crate, one JSON object per published version, oldest first. A pin is
the newest version that is neither yanked nor a pre-release; a crate that only has pre-releases
gives the newest of them. Only the crates asked for are looked up, one request each.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from tritter_assets.contracts.crate_origin import CratePin
from tritter_assets.errors import TritterError, UpstreamUnavailable
from tritter_assets.sources.download import DEFAULT_RETRIES, RetryPolicy, get_response, masked

CRATES_IO_INDEX = "https://index.crates.io"
_WAY_OUT = "check the network and the spelling of the crate, or name another index"
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")


def index_path(name: str) -> str:
    """Returns where a sparse index keeps a crate: `1/a`, `2/ab`, `3/a/abc`, `se/rd/serde`."""
    lowered = name.lower()
    if len(lowered) <= 2:
        return f"{len(lowered)}/{lowered}"
    if len(lowered) == 3:
        return f"3/{lowered[0]}/{lowered}"
    return f"{lowered[:2]}/{lowered[2:4]}/{lowered}"


def newest_pin(lines: str, name: str) -> CratePin:
    """Returns the pin of a crate out of the text of its index file.

    Raises:
        UpstreamUnavailable: every version is yanked, or the text is no index file.
    """
    found: list[tuple[tuple[Any, ...], CratePin]] = []
    for line in lines.splitlines():
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            pin = CratePin(name=entry["name"], version=entry["vers"], sha256=entry["cksum"])
            yanked = entry.get("yanked", False)
        except (ValueError, KeyError, TypeError):
            raise UpstreamUnavailable(
                f"crate {name}: {line[:80]!r} is no line of a sparse index; {_WAY_OUT}"
            ) from None
        rank = _rank(pin.version)
        if not yanked and rank is not None:
            found.append((rank, pin))
    if not found:
        raise UpstreamUnavailable(f"crate {name}: no version that is not yanked; {_WAY_OUT}")
    return max(found, key=lambda item: item[0])[1]


def pin_crates(
    names: Iterable[str],
    *,
    index: str = CRATES_IO_INDEX,
    retries: RetryPolicy = DEFAULT_RETRIES,
) -> tuple[CratePin, ...]:
    """Looks crates up in a sparse index, one request per name.

    Raises:
        UpstreamUnavailable: the index does not answer or does not know a crate.
    """
    pins: list[CratePin] = []
    for name in names:
        url = f"{index.rstrip('/')}/{index_path(name)}"
        what = f"crate {name} in the index {masked(index)}"
        response = get_response(url, retries=retries, what=what, way_out=_WAY_OUT)
        if not response.ok:
            raise UpstreamUnavailable(f"{what}: HTTP {response.status_code}; {_WAY_OUT}")
        pins.append(newest_pin(response.text, name))
    return tuple(pins)


def as_yaml(pins: Iterable[CratePin]) -> str:
    """Returns the entries of a contract's `crates`, sorted by name."""
    return "".join(
        f"- {{name: {pin.name}, version: {pin.version}, sha256: {pin.sha256}}}\n"
        for pin in sorted(pins, key=lambda pin: pin.name)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the pins of the crates named on the command line."""
    import argparse

    parser = argparse.ArgumentParser(description="Pins the newest versions of crates, as YAML.")
    parser.add_argument("names", nargs="+", metavar="NAME")
    parser.add_argument("--index", default=CRATES_IO_INDEX, help="address of a sparse index")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(as_yaml(pin_crates(options.names, index=options.index)))
    except TritterError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _rank(version: str) -> tuple[Any, ...] | None:
    """Semantic version order, pre-releases below every release."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return None
    numbers = tuple(int(number) for number in match.groups()[:3])
    label = match.group(4)
    if label is None:
        return (1, numbers, ())
    # Numeric identifiers rank below others, as the precedence rules of SemVer say.
    parts = tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in label.split("."))
    return (0, numbers, parts)


if __name__ == "__main__":
    sys.exit(main())
