"""A small PyO3 package with the turns that real ones take, as filtered documents."""

from __future__ import annotations

from typing import Any

from tritter_assets_tests.functions.filtered_lake import document

RUST = """use pyo3::prelude::*;

/// Adds two numbers.
#[pyfunction]
#[pyo3(name = "plus", signature = (a, b = 1))]
fn add(a: u64, b: u64) -> u64 {
    a + b
}

/// Counts words.
#[pyclass(name = "Counter", module = "tally._native", frozen)]
pub struct PyCounter {
    words: Vec<String>,
}

#[pymethods]
impl PyCounter {
    #[new]
    fn new(words: Vec<String>) -> Self {
        PyCounter { words }
    }

    /// A counter of the lines of a text.
    #[staticmethod]
    fn of_lines(text: &str) -> PyResult<Self> {
        Ok(PyCounter { words: text.lines().map(str::to_owned).collect() })
    }

    fn most_common(&self, n: usize) -> Vec<(String, usize)> {
        Vec::new()
    }

    #[getter]
    fn get_total(&self) -> usize {
        self.words.len()
    }
}

#[pyfunction]
fn nobody_calls_this() {}

#[cfg(test)]
mod tests {
    #[pyfunction]
    fn only_in_tests() {}
}

macro_rules! exported {
    ($name:ident) => {
        #[pyfunction]
        fn $name() {}
    };
}

#[pymodule]
fn _native(m: &Bound<'_, PyModule>) -> PyResult<()> {
    m.add_function(wrap_pyfunction!(add, m)?)?;
    m.add_class::<PyCounter>()
}
"""
DECLARATIVE = """#[pyo3::pymodule(name = "shapes")]
mod shapes_module {
    #[pymodule_export]
    use super::Square;

    #[pyo3::pyfunction]
    fn area(side: f64) -> f64 {
        side * side
    }

    #[pyo3::pymodule]
    mod inner {
        #[pyo3::pyfunction]
        fn perimeter(side: f64) -> f64 {
            4.0 * side
        }
    }
}

#[cfg_attr(feature = "python", pyo3::pyclass)]
pub struct Square;

#[cfg_attr(feature = "python", pyo3::pymethods)]
impl Square {
    #[pyo3(name = "scaled")]
    fn scale(&self, by: f64) -> Square {
        Square
    }
}
"""
PACKAGE = '''"""Re-exports."""
from ._native import Counter, plus as add_one
from ._native import *


def most_common(words):
    """Python, not Rust."""
    return Counter(words).most_common(1)
'''
TESTS = """import pytest
from tally import Counter, add_one
from tally.shapes import Square, inner
import tally.shapes as shapes


def test_add():
    assert add_one(1, 2) == 3 and add_one(4, 5) == 9


def test_counter_chain():
    counter = Counter.of_lines("a\\nb")
    with pytest.raises(IndexError):
        counter.most_common(-1)
    assert counter.total == 2


class TestShapes:
    def test_area(self):
        square = Square().scaled(2.0)
        assert shapes.area(2.0) == 4.0 and square.scaled(1.0)

    def test_inner(self):
        assert inner.perimeter(1.0) == 4.0, "the perimeter of a square"
"""
FIELDS = '''from typing import Any
from tally import _native


class Report:
    """Holds an object of the compiled module."""

    def __init__(self, words: list[str]) -> None:
        self._counter = _native.Counter(words)

    def top(self, n: int) -> Any:
        """The most frequent words."""
        return self._counter.most_common(n)
'''
SHADOW = '''from json import dumps as plus
from elsewhere import Counter


def not_ours(values):
    """Same names, other things: a pair here would be wrong."""
    return plus(values), Counter(values).most_common(2), nobody_calls_this
'''


def tally(**columns: Any) -> list[dict[str, Any]]:
    """The documents of the package `tally`."""
    rows = [
        document("src/lib.rs", RUST, "rust", license_concluded="MIT OR Apache-2.0"),
        document("src/shapes.rs", DECLARATIVE, "rust", license_concluded="MIT OR Apache-2.0"),
        document("python/tally/__init__.py", PACKAGE, "python", attribution="(c) Package"),
        document("python/tally/report.py", FIELDS, "python"),
        document("tests/test_tally.py", TESTS, "python", license_concluded="BSD-3-Clause",
                 author_emails=["b@example.com"], attribution="(c) Tests"),
        document("tests/test_other.py", SHADOW, "python"),
    ]  # fmt: skip
    return [document(r["path"], r["content"], r["language"], **(_kept(r) | columns)) for r in rows]


def _kept(row: dict[str, Any]) -> dict[str, Any]:
    names = ("license_concluded", "author_emails", "attribution")
    return {name: row[name] for name in names}
