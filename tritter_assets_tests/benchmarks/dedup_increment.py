"""What one more shard costs an index of 10 shards, and one of 1,000.

    python -m tritter_assets_tests.benchmarks.dedup_increment [NUM_SHARDS] [DOCUMENTS_PER_SHARD]

A document is made of blocks of six lines drawn at random from the corpus, so that its words, its
size and what it has in common with others are those of real text, and no two are alike unless made
so: of the documents of a shard, 8 % are an earlier document with a block or two replaced, and 4 %
a copy of one, both drawn from all shards before. All of them are written, signed and verified as
documents are: nothing is a stand-in. Sources have 100 shards each.

Cost is CPU seconds of a whole update as the assets do it: read the states of all signatures, make
the fingerprint, update the exact and the near index. `slope` is the mean over the shards after the
1,000th to the mean over the shards after the 10th; the adds are single updates one after the other,
so merges of band runs and of index files are in them (`most_cpu_s` is the dearest). Merges of
higher tiers fall into one add of 64, 256, ... and are not in them. The index of
1,000 is built in updates of a quarter each. Both indexes stand side by side and take their shards
in turns, so that what else the machine does meets both alike.
Reads and writes are what the system counted for this process, files mapped into memory excepted.

Prints one JSON object last.
"""

from __future__ import annotations

import gc
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tritter_assets.dedup import exact, near
from tritter_assets.dedup.index import ShardInput, inputs_version
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets_tests.benchmarks.harness import corpus_path, report
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign

NUM_BEFORE = 10
NUM_ADDED = 16
"""Four times four: two tiers of merges of runs and of index files fall among them."""
SHARDS_PER_SOURCE = 100
NEAR_SHARE = 0.08
COPY_SHARE = 0.04
WANTED = 1.3


@dataclass(frozen=True)
class Cost:
    """What one update took."""

    cpu_s: float
    wall_s: float
    read_mb: float
    written_mb: float
    stages: dict[str, float]


class Maker:
    """Makes document `number` of shard `shard`, the same whenever asked."""

    def __init__(self, documents: int) -> None:
        self.documents = documents
        content = pq.read_table(corpus_path(), columns=["content"]).column("content")
        self._blocks: list[str] = []
        size = 0
        for value in content:
            lines = value.as_py().splitlines()
            for start in range(0, len(lines) - 6, 6):
                block = "\n".join(lines[start : start + 6])
                if 60 < len(block) < 600:
                    self._blocks.append(block)
                    size += len(block)
            if size > 60_000_000:
                break

    def _plan(self, shard: int, number: int) -> list[int]:
        generator = random.Random(f"{shard}/{number}")
        kind = generator.random()
        if shard == 0 or kind > NEAR_SHARE + COPY_SHARE:
            return [generator.randrange(len(self._blocks)) for _ in range(generator.randint(8, 40))]
        # An original: drawn again where that is itself a copy.
        blocks = self._plan(generator.randrange(shard), generator.randrange(self.documents))
        if kind < NEAR_SHARE:
            place = generator.randrange(len(blocks))
            blocks = [*blocks]
            blocks[place] = generator.randrange(len(self._blocks))
        return blocks

    def shard(self, shard: int) -> list[Doc]:
        """Returns the documents of a shard."""
        return [
            Doc(
                fingerprint_of(shard, number) + f"{shard:08x}{number:09x}",
                "\n".join(self._blocks[block] for block in self._plan(shard, number)),
                repo=f"owner/repo{shard}_{number // 5}",
                path=f"src/module_{number}.py",
            )
            for number in range(self.documents)
        ]


def place_of(shard: int) -> tuple[str, str]:
    """Returns source and shard of a shard number."""
    return f"source{shard // SHARDS_PER_SOURCE:02d}", f"{shard % SHARDS_PER_SOURCE:03d}"


def update(lake: Lake, shards: Sequence[tuple[str, str]]) -> Cost:
    """Updates both indexes as the assets do, and says what it took."""
    stages: dict[str, float] = {}
    counters = _counters()
    cpu, wall = time.process_time(), time.perf_counter()
    inputs: list[ShardInput] = inputs_of(shards)
    version = inputs_version(lake, inputs)
    stages["plan"] = time.process_time() - cpu
    exact.update_exact_index(lake, inputs, fingerprint=fingerprint_of("exact", version))
    stages["exact"] = time.process_time() - cpu - stages["plan"]
    near.update_near_index(lake, inputs, fingerprint=fingerprint_of("near", version))
    total = time.process_time() - cpu
    stages["near"] = total - stages["plan"] - stages["exact"]
    read, written = (after - before for after, before in zip(_counters(), counters, strict=True))
    return Cost(total, time.perf_counter() - wall, read / 1e6, written / 1e6, stages)


def _counters() -> tuple[int, int]:
    found = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(found["rchar"]), int(found["wchar"])


class Growing:
    """A lake to which shards are added one after the other."""

    def __init__(self, folder: Path, maker: Maker) -> None:
        self.lake = Lake.at(folder)
        self.shards: list[tuple[str, str]] = []
        self._maker = maker

    def make(self, count: int) -> None:
        """Writes and signs the next shards."""
        for _ in range(count):
            place = place_of(len(self.shards))
            sign(self.lake, *place, self._maker.shard(len(self.shards)))
            self.shards.append(place)

    def add(self) -> Cost:
        """Makes one shard, and says what it costs to take it in."""
        self.make(1)
        return update(self.lake, self.shards)

    def grow(self, num_shards: int, at_once: int) -> float:
        """Takes shards in until there are so many; returns the CPU seconds of the updates."""
        cpu_s = 0.0
        while len(self.shards) < num_shards:
            self.make(min(at_once, num_shards - len(self.shards)))
            cpu_s += update(self.lake, self.shards).cpu_s
        return cpu_s


def main() -> None:
    """Runs the bench."""
    arguments = [int(value) for value in sys.argv[1:]]
    num_shards = arguments[0] if arguments else 1000
    maker = Maker(arguments[1] if len(arguments) > 1 else 500)
    with tempfile.TemporaryDirectory(prefix="dedup-increment-") as name:
        folder = Path(name)
        small, large = Growing(folder / "few", maker), Growing(folder / "many", maker)
        small.grow(NUM_BEFORE, NUM_BEFORE)
        built = large.grow(num_shards, num_shards // 4)
        # What the bench itself holds is not walked by the collector within an update.
        gc.collect()
        gc.freeze()
        few, many = [], []
        for _ in range(NUM_ADDED):
            few.append(small.add())
            many.append(large.add())
        lake, shards = large.lake, large.shards
        touched = max(len(shards) // 40, 1)
        num_removed = max(round(len(shards) * maker.documents / 1000 / touched), 1)
        for number in range(0, touched * 40, 40):
            sign(lake, *place_of(number), maker.shard(number)[num_removed:])
        removal = update(lake, shards)
        one_shard = update(lake, [shard for shard in shards if shard != place_of(7)])
        bytes_per_document = {
            table: sum(file.stat().st_size for file in (folder / "many" / table).rglob("*"))
            // (len(shards) * maker.documents)
            for table in ("dedup/near_bands", ".cache")
        }
    _report(
        few,
        many,
        documents_per_shard=maker.documents,
        num_shards=num_shards,
        removal_of_a_thousandth=figures([removal]),
        removal_of_a_shard=figures([one_shard]),
        built_cpu_s=round(built, 1),
        bytes_per_document=bytes_per_document,
    )


def _report(few: list[Cost], many: list[Cost], *, num_shards: int, **rest: Any) -> None:
    before, after = figures(few), figures(many)
    slope = after["cpu_s"] / before["cpu_s"]
    report(
        "dedup_increment",
        round(slope, 3),
        f"cost of a shard beside {num_shards} to one beside {NUM_BEFORE}, CPU s to CPU s",
        {"wanted": WANTED},
        round(WANTED / slope, 3),
        slope=round(slope, 3),
        slope_wall=round(after["wall_s"] / before["wall_s"], 3),
        slope_first=round(many[0].cpu_s / few[0].cpu_s, 3),
        few=before,
        many=after,
        most_cpu_s={
            "few": round(max(cost.cpu_s for cost in few), 3),
            "many": round(max(cost.cpu_s for cost in many), 3),
        },
        few_cpu_s=[round(cost.cpu_s, 3) for cost in few],
        many_cpu_s=[round(cost.cpu_s, 3) for cost in many],
        few_stages=stages(few),
        many_stages=stages(many),
        **rest,
    )


def figures(costs: list[Cost]) -> dict[str, float]:
    """Returns the means of costs."""
    names = ("cpu_s", "wall_s", "read_mb", "written_mb")
    return {n: round(sum(getattr(c, n) for c in costs) / len(costs), 3) for n in names}


def stages(costs: list[Cost]) -> dict[str, float]:
    """Returns the mean CPU seconds of each part of an update."""
    names = costs[0].stages
    return {n: round(sum(c.stages[n] for c in costs) / len(costs), 3) for n in names}


if __name__ == "__main__":
    main()
