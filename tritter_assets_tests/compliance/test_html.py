from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tritter_assets.compliance import html
from tritter_assets.compliance.plots import bar_plot
from tritter_assets.compliance.report import markdown_table


@given(st.text())
def test_text_is_never_markup(text: str) -> None:
    page = html.page(text, html.paragraph(text), html.table([text], [[text]], caption=text))
    body = page.decode("utf-8", "surrogatepass") if text.isprintable() else page.decode()
    assert body.count("<p>") == 1
    assert body.count("<table>") == 1
    assert body.count("<script") == 0


def test_numbers_are_grouped_and_right_aligned() -> None:
    fragment = html.table(["n"], [[1234567], [True], [None]]).html
    assert '<td class="number">1,234,567</td>' in fragment
    assert "<td>yes</td>" in fragment


def test_pass_and_fail_are_words() -> None:
    assert "PASS" in html.verdict_badge(True).html
    assert "FAIL" in html.verdict_badge(False).html


def test_markdown_cells_cannot_break_the_table() -> None:
    text = markdown_table([{"a": "x|y\nz", "b": 1000}])
    assert text.splitlines()[-1] == "| x\\|y z | 1,000 |"
    assert len(markdown_table([{"a": i} for i in range(50)], limit=10).splitlines()) == 14


def test_a_plot_is_the_same_bytes_twice() -> None:
    first = bar_plot({"a": 3, "b": 1.5}, title="t", unit="u")
    assert first == bar_plot({"a": 3, "b": 1.5}, title="t", unit="u")
    assert first.startswith(b"\x89PNG")
