from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.dedup.index import ShardInput
from tritter_assets.errors import MissingProvenance
from tritter_assets.functions.extract import FUNCTION_SCHEMA
from tritter_assets.functions.interop import TABLE, pair_interop
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets_tests.functions.filtered_lake import document, fingerprint, lake_of
from tritter_assets_tests.functions.interop_cases import tally

ADD = """\
// Rust: src/lib.rs
/// Adds two numbers.
#[pyfunction]
#[pyo3(name = "plus", signature = (a, b = 1))]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

#[pymodule]
fn _native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(add, m)?)?;
    m.add_class::<PyCounter>()
}

# Python: tests/test_tally.py
from tally import add_one


def test_add():
    assert add_one(1, 2) == 3 and add_one(4, 5) == 9
"""


METHODS = ("get_total", "most_common", "new", "of_lines")


def _pairs(folder: Path, documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    lake, inputs = lake_of(folder, documents)
    pair_interop(lake, inputs, fingerprint_of_shard=fingerprint)
    rows = lake.scan(TABLE).collect().to_dicts()
    return {row["qualified_name"]: row for row in rows}


def test_every_export_that_is_called_has_its_pair(tmp_path: Path) -> None:
    lake, inputs = lake_of(tmp_path, tally())
    report = pair_interop(lake, inputs, fingerprint_of_shard=fingerprint)
    rows = lake.scan(TABLE).collect().sort("qualified_name")
    assert rows["qualified_name"].to_list() == [
        "_native.plus", "inner.perimeter", "shapes.Square", "shapes.area", "tally._native.Counter",
    ]  # fmt: skip
    assert (report.num_exports, report.num_pairs) == (6, 5)
    assert report.pairs_by_source == {"src": 5}
    assert report.skipped == {"no_caller": 1}
    assert set(rows["language"]) == {"rust"}
    assert set(rows["modality"]) == {"code"}
    assert set(FUNCTION_SCHEMA.names) == set(rows.columns)


def test_a_pair_reads_as_two_files(tmp_path: Path) -> None:
    row = _pairs(tmp_path, tally())["_native.plus"]
    assert row["content"] == ADD
    assert (row["name"], row["docstring"]) == ("plus", "Adds two numbers.")
    assert (row["path"], row["start_line"], row["end_line"]) == ("src/lib.rs", 3, 8)


def test_a_class_comes_with_methods_and_its_best_examples(tmp_path: Path) -> None:
    content = _pairs(tmp_path, tally())["tally._native.Counter"]["content"]
    rust, _, python = content.partition("# Python:")
    assert "pub struct PyCounter" in rust
    assert "fn most_common" in rust
    # The test shows three members; the package's own function adds the constructor.
    assert python.startswith(" tests/test_tally.py\n")
    assert "def test_counter_chain" in python
    assert "def most_common(words)" in python
    assert "class Report" not in python
    assert "not_ours" not in content


def test_a_long_class_is_split_by_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritter_assets.functions.interop.MAX_RUST_BYTES", 400)
    lake, inputs = lake_of(tmp_path, tally())
    pair_interop(lake, inputs, fingerprint_of_shard=fingerprint)
    rows = lake.scan(TABLE).collect().sort("qualified_name", "content")
    parts = [text for text in rows["content"] if "struct PyCounter" in text]
    methods = [[m for m in METHODS if f"fn {m}" in text.partition("# Python")[0]] for text in parts]
    assert sorted(methods) == [["get_total", "most_common"], ["new"], ["of_lines"]]
    assert all(text.count("impl PyCounter {") == 1 for text in parts)
    assert all(text.count("# Python:") == 1 for text in parts)


def test_licences_and_people_of_all_parents_are_joined(tmp_path: Path) -> None:
    documents = tally()
    ids = {row["path"]: row["id"] for row in documents}
    row = _pairs(tmp_path, documents)["tally._native.Counter"]
    paths = ["src/lib.rs", "tests/test_tally.py", "python/tally/__init__.py"]
    assert row["derived_from"] == sorted(ids[path] for path in paths)
    assert row["license_concluded"] == "BSD-3-Clause AND MIT AND (MIT OR Apache-2.0)"
    assert row["license_method"] == "inherited"
    evidence = {e["where"]: e["value"] for e in json.loads(row["license_evidence"])}
    assert evidence[ids["tests/test_tally.py"]] == "BSD-3-Clause"
    assert len(evidence) == 3
    assert row["attribution"] == "(c) Tests\n(c) Package"
    assert row["author_emails"] == ["a@example.com", "b@example.com"]
    assert row["generator"] == "rule_based"


def test_taint_passes_on_and_two_taints_give_no_pair(tmp_path: Path) -> None:
    def tainted(*generators: str) -> dict[str, dict[str, Any]]:
        documents = tally()
        for place, generator in enumerate(generators):
            old = documents[4 * place]
            documents[4 * place] = old | {"generator": generator}
        return _pairs(tmp_path / "-".join(generators), documents)

    assert tainted("starcoder2")["_native.plus"]["generator"] == "starcoder2"
    assert "_native.plus" not in tainted("starcoder2", "granite")


def test_a_pair_goes_with_each_of_its_parents(tmp_path: Path) -> None:
    lake, inputs = lake_of(tmp_path, tally())

    def version(item: ShardInput) -> str:
        state = lake.state(f"filtered/{item.source}", {"shard": item.shard})
        assert state is not None
        return fingerprint_of(state.data_version)

    pair_interop(lake, inputs, fingerprint_of_shard=version)
    before = set(lake.scan(TABLE).collect()["qualified_name"])
    assert pair_interop(lake, inputs, fingerprint_of_shard=version).num_fresh == 1
    lake_of(tmp_path, [row for row in tally() if row["path"] != "tests/test_tally.py"])
    assert pair_interop(lake, inputs, fingerprint_of_shard=version).num_fresh == 0
    after = lake.scan(TABLE).collect()
    assert set(after["qualified_name"]) == {"tally._native.Counter"} < before
    gone = tally()[4]["id"]
    assert all(gone not in parents for parents in after["derived_from"].to_list())


def test_order_of_documents_does_not_show(tmp_path: Path) -> None:
    versions = []
    for number in range(3):
        documents = tally() + tally(repo="acme/two", shard="001")
        random.Random(number).shuffle(documents)
        lake, inputs = lake_of(tmp_path / str(number), documents)
        pair_interop(lake, inputs[::-1], fingerprint_of_shard=fingerprint)
        versions.append([state.data_version for state in lake.states(TABLE)])
    assert versions[0] == versions[1] == versions[2]


def test_repositories_are_not_mixed(tmp_path: Path) -> None:
    rust = [row for row in tally() if row["language"] == "rust"]
    python = [row for row in tally(repo="acme/two") if row["language"] == "python"]
    assert _pairs(tmp_path, rust + python) == {}


def test_a_call_by_name_alone_counts_only_beside_an_import(tmp_path: Path) -> None:
    rust = "#[pyclass]\nstruct Engine;\n#[pymethods]\nimpl Engine {\n    fn spin_up(&self) {}\n}\n"
    body = "def go(engine):\n    for _ in range(3):\n        engine.spin_up()\n"
    module = "#[pymodule]\nfn motor(m: M) { m.add_class::<Engine>() }\n"
    documents = [document("src/lib.rs", rust + module, "rust")]
    alone = [*documents, document("tests/a.py", body, "python")]
    beside = [*documents, document("tests/a.py", f"from motor import Engine\n\n\n{body}", "python")]
    assert _pairs(tmp_path / "a", alone) == {}
    assert list(_pairs(tmp_path / "b", beside)) == ["motor.Engine"]


def test_a_shard_that_was_never_filtered_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingProvenance, match="filtered/src has no shard '000'"):
        pair_interop(
            Lake.at(tmp_path),
            [ShardInput(source="src", shard="000", priority=1)],
            fingerprint_of_shard=fingerprint,
        )


HOSTILE = [
    ("deep modules", "mod a {" * 3000 + "#[pyfunction]\nfn f() {}" + "}" * 3000),
    ("open attributes", "#[pyfunction(" * 5000),
    ("long attribute", '#[pyo3(name = "' + "x" * 100_000 + '")]\n#[pyfunction]\nfn f() {}'),
    ("nested cfg_attr", "#[cfg_attr(a, " * 500 + "pyfunction" + ")" * 500 + "]\nfn f() {}"),
    ("many comments", "///\n" * 30_000 + "#[pyclass]\nstruct S;"),
    ("many items", "#[pyfunction]\nfn f() {}\n" * 5000),
]


@pytest.mark.parametrize(("name", "rust"), HOSTILE, ids=[name for name, _ in HOSTILE])
def test_hostile_rust_ends(tmp_path: Path, name: str, rust: str) -> None:
    python = "from m import f, S\n\n\ndef test_them():\n    f(); S().x(); f.f.f.f()\n" + "f(" * 400
    documents = [document("src/lib.rs", rust, "rust"), document("t.py", python, "python")]
    assert len(_pairs(tmp_path, documents)) <= 2, name


def test_objects_are_followed_through_fields(tmp_path: Path) -> None:
    wanted = ("src/lib.rs", "python/tally/report.py")
    documents = [row for row in tally() if row["path"] in wanted]
    pairs = _pairs(tmp_path, documents)
    assert list(pairs) == ["tally._native.Counter"]
    content = pairs["tally._native.Counter"]["content"]
    assert "# Python: python/tally/report.py, class Report\nfrom typing import Any\n" in content
    assert "return self._counter.most_common(n)" in content


ENGINE = """\
#[pyclass]
struct Engine;

#[pymethods]
impl Engine {
    #[new]
    fn new() -> Self {
        Engine
    }

    fn spin_up(&self) {}
}

#[pymodule]
fn _motor(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_class::<Engine>()
}
"""
REPLACED = "import sys\nimport _motor_fast._motor as motor\n\nsys.modules[__name__] = motor\n"
DRIVER = "def go():\n    for _ in range(3):\n        Engine().spin_up()\n"
HOLDER = """\
from car._plr import Engine


class Car:
    _engine: "Engine | None" = None

    def drive(self) -> None:
        assert self._engine is not None
        self._engine.spin_up()
"""
WAYS = {
    "a module that puts the compiled one in its place": {
        "src/car/_plr.py": REPLACED, "tests/t.py": f"from car._plr import Engine\n\n\n{DRIVER}",
    },
    "a field that the class body annotates": {
        "src/car/_plr.py": REPLACED, "src/car/car.py": HOLDER,
    },
    "a package whose own file the filters dropped": {
        "src/car/other.py": "def other():\n    return 1\n",
        "tests/t.py": f"from car import Engine\n\n\n{DRIVER}",
    },
    "a star import": {
        "src/car/__init__.py": "from ._motor import *\n",
        "tests/t.py": f"from car import *\n\n\n{DRIVER}",
    },
    "a stub of the compiled module": {
        "src/car/fast.pyi": "class Engine:\n    def spin_up(self) -> None: ...\n",
        "tests/t.py": f"import car.fast as fast\n\nEngine = fast.Engine\n\n\n{DRIVER}",
    },
}  # fmt: skip
NOT_WAYS = {
    "a Python class of the same name": {
        "src/car/__init__.py": "class Engine:\n    def spin_up(self):\n        pass\n",
        "tests/t.py": f"from car import Engine\n\n\n{DRIVER}",
    },
    "a package that is not the repository's": {
        "tests/t.py": f"from rocket import Engine\n\n\n{DRIVER}",
    },
    "a name that the file itself defines": {
        "tests/t.py": f"from car._motor import *\n\n\nclass Engine:\n    pass\n\n\n{DRIVER}",
    },
}


@pytest.mark.parametrize("way", WAYS)
def test_ways_from_python_to_rust(tmp_path: Path, way: str) -> None:
    files = [document(path, text, "python") for path, text in WAYS[way].items()]
    assert list(_pairs(tmp_path, [document("src/lib.rs", ENGINE, "rust"), *files])) == [
        "_motor.Engine"
    ]


@pytest.mark.parametrize("way", NOT_WAYS)
def test_names_that_lead_elsewhere(tmp_path: Path, way: str) -> None:
    files = [document(path, text, "python") for path, text in NOT_WAYS[way].items()]
    assert _pairs(tmp_path, [document("src/lib.rs", ENGINE, "rust"), *files]) == {}
