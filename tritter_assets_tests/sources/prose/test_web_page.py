from __future__ import annotations

import pytest

from tritter_assets.sources.prose.web_page import clean_html

PAGE = """<!DOCTYPE html><html><head><title>T</title><script>var a = "<p>no</p>";</script></head>
<body><nav class="sidebar"><ul><li>Chapter</li></ul></nav>
<div class="page"><main><h1 id="a"><a class="header" href="#a">Head &amp; tail</a></h1>
<p>Text with <code>a &lt; b</code>, <strong>bold</strong>
and <em>em</em><!-- gone <p> -->.<br>Next</p>
<ul><li>one</li><li>two <ul><li>inner</li></ul></li></ul>
<ol><li><p>first</p></li><li>second</li></ol>
<pre><code class="language-rust ignore"><span class="boring">use x;
</span>fn main() {
    if a &lt; b {}
}</code></pre>
<table><thead><tr><th>A</th><th>B</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>
<button>Copy</button><div class="buttons">Play</div>
</main><footer>Foot</footer></div></body></html>"""

WANTED = """\
# Head & tail

Text with `a < b`, **bold** and *em*.
Next

- one
- two
  - inner

1. first
2. second

```rust
fn main() {
    if a < b {}
}
```

A | B
1 | 2
"""


def test_golden_page() -> None:
    assert clean_html(PAGE) == WANTED


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("plain", "plain\n"),
        ("<div id='main-content'>in</div>", "in\n"),
        ("a < b and <3", "a < b and <3\n"),
        ("<p>a<p>b</div></span>", "a\n\nb\n"),
        ("<pre>x", "```\nx\n```\n"),
        ("a<script>b", "a\n"),
        ("a<!-- b", "a\n"),
        ('<a title="x > y">t</a>', "t\n"),
        ("<br/>" * 3, ""),
        ("", ""),
    ],
    ids=range(10),
)
def test_broken_markup_becomes_text(text: str, wanted: str) -> None:
    assert clean_html(text) == wanted
