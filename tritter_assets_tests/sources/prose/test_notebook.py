from __future__ import annotations

import json
from typing import Any

import pytest

from tritter_assets.sources.prose.notebook import clean_notebook


def _book(*cells: dict[str, Any], **metadata: Any) -> str:
    return json.dumps({"cells": list(cells), "metadata": metadata, "nbformat": 4})


def _code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {"cell_type": "code", "source": source.splitlines(True), "outputs": list(outputs)}


def test_cells_become_text_and_fences() -> None:
    book = _book(
        {"cell_type": "markdown", "source": ["# T\n", "See <b>this</b> <!-- x -->."]},
        _code("x = 1\nx", {"output_type": "execute_result", "data": {"text/plain": ["1"]}}),
        _code("%%bash\nls"),
        _code("plot()", {"output_type": "display_data",
                         "data": {"image/png": "AAAA", "text/plain": "<Figure>"}}),
        _code("log()", {"output_type": "stream", "name": "stdout", "text": "a\n" * 100}),
        _code("warn()", {"output_type": "stream", "name": "stderr", "text": "careful"}),
        _code("fail()", {"output_type": "error", "traceback": ["boom"]}),
        _code("  "),
    )  # fmt: skip
    assert clean_notebook(book) == (
        "# T\nSee this .\n\n```python\nx = 1\nx\n```\n\n```text\n1\n```\n\n"
        "```bash\n%%bash\nls\n```\n\n```python\nplot()\n```\n\n```python\nlog()\n```\n\n"
        "```python\nwarn()\n```\n\n```python\nfail()\n```\n"
    )


def test_language_comes_from_the_kernel() -> None:
    assert clean_notebook(_book(_code("1"), kernelspec={"language": "Julia"})) == (
        "```julia\n1\n```\n"
    )


def test_an_old_format_is_read() -> None:
    book = {"worksheets": [{"cells": [{"cell_type": "code", "input": "x"}]}], "nbformat": 3}
    assert clean_notebook(json.dumps(book)) == "```python\nx\n```\n"


@pytest.mark.parametrize(
    "text", ["", "no json", "[1]", "{}", '{"cells": 3}', "[" * 100_000, '{"cells": {"a": 1}}']
)
def test_what_is_no_notebook_is_told(text: str) -> None:
    assert clean_notebook(text) is None


def test_odd_cells_do_no_harm() -> None:
    book = {
        "cells": [1, None, {}, {"cell_type": "code", "source": 5, "outputs": 3},
                  {"cell_type": "markdown", "source": [1, "a"]}],
        "metadata": [],
    }  # fmt: skip
    assert clean_notebook(json.dumps(book)) == "a\n"
