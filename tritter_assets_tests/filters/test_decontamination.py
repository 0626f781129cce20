"""Made-up benchmark items, so that no benchmark's text stands in this repository."""

from __future__ import annotations

import ast
import hashlib
import json

import pytest

from tritter_assets.errors import ContractViolation
from tritter_assets.filters import decontamination
from tritter_assets.filters.benchmarks import load_items, read_items
from tritter_assets_tests.filters.documents import GOOD, config_of, context_of, document, frame_of

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


@pytest.fixture
def context(tmp_path):
    raw = "\n".join(json.dumps(task) for task in TASKS).encode()
    (tmp_path / "demo.jsonl").write_bytes(raw)
    spec = {"file": "demo.jsonl", "sha256": hashlib.sha256(raw).hexdigest()}
    specs = {"humaneval": spec, "mbpp": {"file": "absent.jsonl", "sha256": None}}
    config = config_of(decontamination.DEFINITION)
    config = decontamination.DecontaminationConfig(
        **{name: getattr(config, name) for name in config.__slots__} | {"benchmarks": specs}
    )
    return context_of(benchmarks=decontamination.load_benchmarks(tmp_path, [tmp_path], config))


class _Renamed(ast.NodeTransformer):
    def __init__(self):
        self.names = {}

    def _new(self, name):
        return self.names.setdefault(name, f"other_{len(self.names)}")

    def visit_arg(self, node):
        self.generic_visit(node)
        node.arg = self._new(node.arg)
        return node

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store) or node.id in self.names:
            node.id = self._new(node.id)
        return node

    def visit_FunctionDef(self, node):
        node.name = self._new(node.name)
        self.generic_visit(node)
        node.body = [n for n in node.body if not isinstance(n, ast.Expr)]
        return node


def found_in(context, content, **columns):
    frame = frame_of(document(content, **columns))
    config = config_of(decontamination.DEFINITION)
    return decontamination.judge_decontamination(frame, config, context)


def rewordings():
    source = TASKS[0]["prompt"] + TASKS[0]["canonical_solution"]
    tree = ast.parse(source)
    yield "verbatim", source
    yield "reformatted", ast.unparse(tree)
    yield "commented", source.replace("\n    total = 0\n", "\n    # start\n    total = 0  # none\n")
    yield "renamed_without_docstring", ast.unparse(_Renamed().visit(ast.parse(source)))
    yield "docstring_only", '"""' + TASKS[0]["prompt"].split('"""')[1] + '"""\npass\n'
    yield "tests_only", TASKS[0]["test"]


@pytest.mark.parametrize(("name", "text"), rewordings())
def test_reworded_items_are_found_inside_other_code(context, name, text):
    (found,) = found_in(context, GOOD + "\n" + text + "\n" + GOOD)
    assert "humaneval/Demo/0" in found.evidence, name
    assert found.action.value == "drop"


def test_a_short_item_is_found_by_name_and_body(context):
    short = "def third_root_of_parts( n ):\n    return (n%17.0)**0.333\n"
    assert "Demo/1 short" in found_in(context, GOOD + short)[0].evidence
    assert not found_in(context, GOOD + short.replace("third_root", "fourth_root"))


def test_ordinary_code_is_not_found(context):
    assert not found_in(context, GOOD)
    with open(ast.__file__, encoding="utf-8") as stream:
        assert not found_in(context, stream.read())


def test_what_is_not_at_hand_is_named(context):
    assert context.benchmarks.num_items == {"humaneval": 2}
    assert "absent.jsonl" in context.benchmarks.not_checked["mbpp"]


def test_a_benchmark_with_another_hash_is_not_used(tmp_path):
    (tmp_path / "mbpp.jsonl").write_text("{}")
    items, missing = load_items(
        {"mbpp": {"file": "mbpp.jsonl", "sha256": "0" * 64}}, tmp_path, [tmp_path]
    )
    assert not items
    assert "pins" in missing["mbpp"]


def test_an_unknown_benchmark_is_an_error():
    with pytest.raises(ContractViolation, match="no reader"):
        read_items("unheard_of", b"{}")
