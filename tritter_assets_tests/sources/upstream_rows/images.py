"""Pictures with code, text or questions."""

from __future__ import annotations

import json

import pyarrow as pa

from tritter_assets_tests.sources.upstream_rows.case import (
    IMAGE_TYPE,
    PNG,
    Case,
    Row,
    card,
    parquet,
)

_TEXT = pa.string()
_UNKNOWN: Row = {
    "license_declared": "NOASSERTION",
    "license_concluded": "NOASSERTION",
    "license_method": "none",
}
_CLAIMED: Row = {
    "license_declared": "NOASSERTION",
    "license_concluded": "CC-BY-4.0",
    "license_method": "wrapper",
}
_PICTURE = {"bytes": PNG, "path": None}
_OPT_OUT = "opt_out_docs_removed_2023_07_12"
_OBELICS: list[tuple[str, pa.DataType]] = [
    ("images", pa.list_(_TEXT)),
    ("metadata", _TEXT),
    ("general_metadata", _TEXT),
    ("texts", pa.list_(_TEXT)),
]
_PAGES: list[Row] = [
    {"images": ["https://example.org/a.png", None],
     "texts": [None, "Training a neural network with PyTorch on Linux."],
     "metadata": json.dumps([{"src": "https://example.org/a.png"}, None]),
     "general_metadata": json.dumps({"url": "https://example.org/post"})},
    {"images": [None], "texts": ["A recipe for apple pie and a python in the garden."],
     "metadata": "[null]", "general_metadata": json.dumps({"url": "https://example.org/pie"})},
    {"images": [None, None],
     "texts": ["Use SQL.", "The database and the algorithm."],
     "metadata": "[null, null]", "general_metadata": "not json"},
]  # fmt: skip

CASES = {
    "websight": Case(
        card=card(("v0.2", {"train": "v0.2/train-*"}), ("v0.1", {"train": "data/train-*"})),
        files={
            "v0.2/train-00000-of-00738.parquet": parquet(
                [("image", IMAGE_TYPE), ("text", _TEXT), ("llm_generated_idea", _TEXT)],
                [
                    {"image": _PICTURE, "text": "<html><body>Shop</body></html>",
                     "llm_generated_idea": "A shop"},
                    {"image": _PICTURE, "text": None},
                ],
            ),
            "data/train-00000-of-00071.parquet": parquet([("text", _TEXT)], [{"text": "old"}]),
        },
        common={
            "language": "html", "split": "train", "repo": "hub/HuggingFaceM4/WebSight",
            "access_terms": "none", "generator": "websight_pipeline",
            "license_declared": "NOASSERTION", "license_concluded": "CC-BY-4.0",
            "license_method": "wrapper", "license_wrapper": "CC-BY-4.0",
        },
        rows=[
            {"path": "v0.2/train-00000-of-00738.parquet#0", "image": PNG,
             "content": "<html><body>Shop</body></html>"},
            {"path": "v0.2/train-00000-of-00738.parquet#1", "image": PNG, "content": ""},
        ],
    ),
    "webcode2m": Case(
        card=card(("default", {"train": "data/*.parquet"})),
        files={
            "data/part-00000.parquet": parquet(
                [("image", IMAGE_TYPE), ("bbox", _TEXT), ("text", _TEXT),
                 ("scale", pa.list_(pa.int64())), ("lang", _TEXT),
                 ("tokens", pa.list_(pa.int64())), ("score", pa.int64()), ("hash", _TEXT)],
                [{"image": _PICTURE, "bbox": "{}", "text": "<html></html>", "lang": "en",
                  "score": 7, "hash": "h"}],
            )
        },
        common={
            **_CLAIMED, "language": "html", "split": "train", "repo": "hub/xcodemind/webcode2m",
            "access_terms": "common_crawl", "generator": "human", "license_wrapper": "CC-BY-4.0",
        },
        rows=[{"path": "data/part-00000.parquet#0", "image": PNG, "content": "<html></html>"}],
    ),
    "obelics": Case(
        card=card(
            ("default", {"train": "data/train-*"}), (_OPT_OUT, {"train": f"{_OPT_OUT}/train-*"})
        ),
        files={
            f"{_OPT_OUT}/train-00000-of-01439.parquet": parquet(_OBELICS, _PAGES),
            "data/train-00000-of-01439.parquet": parquet(_OBELICS, _PAGES[:1]),
        },
        common={
            **_CLAIMED, "split": "train", "repo": "hub/HuggingFaceM4/OBELICS",
            "access_terms": "common_crawl", "generator": "human", "license_wrapper": "CC-BY-4.0",
        },
        rows=[
            {"path": f"{_OPT_OUT}/train-00000-of-01439.parquet#0",
             "url": "https://example.org/post",
             "content": "Training a neural network with PyTorch on Linux."},
            {"path": f"{_OPT_OUT}/train-00000-of-01439.parquet#2",
             "content": "Use SQL.\n\nThe database and the algorithm."},
        ],
        skipped={"not_selected": 1},
    ),
    "docvqa": Case(
        card=card(
            ("DocVQA", {"validation": "DocVQA/validation-*", "test": "DocVQA/test-*"}),
            ("InfographicVQA", {"validation": "InfographicVQA/validation-*"}),
        ),
        files={
            "DocVQA/validation-00000-of-00006.parquet": parquet(
                [("questionId", _TEXT), ("question", _TEXT), ("question_types", pa.list_(_TEXT)),
                 ("image", IMAGE_TYPE), ("docId", pa.int64()), ("ucsf_document_id", _TEXT),
                 ("ucsf_document_page_no", _TEXT), ("answers", pa.list_(_TEXT)),
                 ("data_split", _TEXT)],
                [{"questionId": "337", "question": "What is the date?", "image": _PICTURE,
                  "answers": ["3/17/98", "17 March"], "docId": 279, "data_split": "val"}],
            ),
            "DocVQA/test-00000-of-00006.parquet": parquet([("question", _TEXT)], []),
        },
        common={
            # read as validation: no gate admits it, whatever its licence
            **_UNKNOWN, "split": "validation", "repo": "hub/lmms-lab/DocVQA",
            "access_terms": "none", "generator": "human", "license_wrapper": "Apache-2.0",
        },
        rows=[
            {"path": "DocVQA/validation-00000-of-00006.parquet#0", "image": PNG,
             "instruction": "What is the date?", "response": "3/17/98\n17 March",
             "content": "What is the date?\n\n3/17/98\n17 March"}
        ],
    ),
    "screen_annotation": Case(
        card=card(
            ("default", {"train": "data/train-*", "valid": "data/valid-*", "test": "data/test-*"})
        ),
        files={
            "data/train-00000-of-00004.parquet": parquet(
                [("screen_id", pa.int64()), ("screen_annotation", _TEXT), ("image", IMAGE_TYPE)],
                [{"screen_id": 3, "screen_annotation": "TEXT Sign in 10 90 5 8",
                  "image": _PICTURE}],
            ),
            "data/test-00000-of-00001.parquet": parquet(
                [("screen_annotation", _TEXT)], [{"screen_annotation": "benchmark"}]
            ),
        },
        common={
            **_CLAIMED, "split": "train", "repo": "hub/rootsautomation/RICO-ScreenAnnotation",
            "access_terms": "none", "generator": "human", "license_wrapper": "CC-BY-4.0",
        },
        rows=[
            {"path": "data/train-00000-of-00004.parquet#0", "image": PNG,
             "content": "TEXT Sign in 10 90 5 8"}
        ],
    ),
}  # fmt: skip
