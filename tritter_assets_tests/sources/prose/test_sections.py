from __future__ import annotations

import pytest

from tritter_assets.sources.prose.sections import without_empty_sections


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("# A\n\ntext\n", "# A\n\ntext\n"),
        ("# A\n\n## B\n\n### C\n\ntext\n", "# A\n\n## B\n\n### C\n\ntext\n"),
        ("# A\n\ntext\n\n## B\n\n## C\n\n## D\n", "# A\n\ntext\n"),
        ("# A\n\n## B\n\n## C\n\ntext\n\n# D\n", "# A\n\n## C\n\ntext\n"),
        ("# A\n\n```sh\n# no heading\n```\n", "# A\n\n```sh\n# no heading\n```\n"),
        ("# A\n\n## B\n", ""),
        ("text\n", "text\n"),
        ("", ""),
    ],
    ids=range(8),
)
def test_sections(text: str, wanted: str) -> None:
    assert without_empty_sections(text) == wanted
