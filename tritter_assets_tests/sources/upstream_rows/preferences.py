"""Pairs of a better and a worse answer."""

from __future__ import annotations

import gzip

from tritter_assets_tests.sources.upstream_rows.case import Case, Row, jsonl

_CLAIM: Row = {"license_declared": "NOASSERTION", "license_method": "wrapper", "split": "train"}


def _tree(number: int, replies: list[Row], **prompt: object) -> Row:
    asked = {"text": f"Question {number}?", "role": "prompter", "lang": "en", "deleted": False,
             "synthetic": False, "replies": replies}  # fmt: skip
    return {"message_tree_id": f"tree-{number}", "tree_state": "ready_for_export",
            "prompt": asked | prompt}  # fmt: skip


def _reply(text: str, rank: int | None, **more: object) -> Row:
    said: Row = {"text": text, "role": "assistant", "rank": rank, "deleted": False,
                 "synthetic": False}  # fmt: skip
    return said | more


_TREES = [
    # upstream's order is not the order of the ranks
    _tree(1, [_reply("Good.", 1), _reply("Best.", 0), _reply("Bad.", 2)]),
    _tree(2, [_reply("Alone.", 0)]),
    _tree(3, [_reply("Not ranked.", None), _reply("Nor this.", None)]),
    _tree(4, [_reply("Made up.", 0, synthetic=True), _reply("Human.", 1), _reply("Worse.", 2)]),
    _tree(5, [_reply("Gut.", 0), _reply("Schlecht.", 1)], lang="de"),
    _tree(6, [_reply("a", 0), _reply("b", 1)], synthetic=True),
]

CASES = {
    "oasst2": Case(
        files={
            "2023-11-05_oasst2_ready.trees.jsonl.gz": gzip.compress(jsonl(_TREES), mtime=0),
            "2023-11-05_oasst2_all.trees.jsonl.gz": gzip.compress(jsonl(_TREES[:1]), mtime=0),
        },
        common={
            **_CLAIM, "repo": "hub/OpenAssistant/oasst2", "access_terms": "none",
            "generator": "human", "license_concluded": "Apache-2.0",
            "license_wrapper": "Apache-2.0",
        },
        rows=[
            {"path": "tree-1", "instruction": "Question 1?", "chosen": "Best.",
             "rejected": "Bad.", "content": "Question 1?\n\nBest.\n\nBad."},
            {"path": "tree-4", "instruction": "Question 4?", "chosen": "Human.",
             "rejected": "Worse.", "content": "Question 4?\n\nHuman.\n\nWorse."},
        ],
        skipped={"not_selected": 4},
    ),
    "helpsteer3_preference": Case(
        files={
            "preference/train.jsonl": jsonl(
                [
                    {"domain": "code", "language": "python", "response1": "A", "response2": "B",
                     "context": [{"role": "user", "content": "Sort it."}],
                     "overall_preference": -2},
                    {"domain": "general", "language": "english", "response1": "A",
                     "response2": "B", "context": [{"role": "user", "content": "Hello?"},
                                                   {"role": "assistant", "content": "Hello."},
                                                   {"role": "user", "content": "Bye."}],
                     "overall_preference": 1},
                    {"domain": "general", "language": "english", "response1": "A",
                     "response2": "B", "context": [{"role": "user", "content": "Tie."}],
                     "overall_preference": 0},
                ]
            ),
            "preference/validation.jsonl": jsonl([{"response1": "benchmark"}]),
            "feedback/train.jsonl": jsonl([{"response1": "other"}]),
        },
        common={
            **_CLAIM, "repo": "hub/nvidia/HelpSteer3", "access_terms": "none",
            "generator": "gemma", "license_concluded": "CC-BY-4.0",
            "license_wrapper": "CC-BY-4.0",
        },
        rows=[
            {"path": "preference/train.jsonl#0", "instruction": "Sort it.", "chosen": "A",
             "rejected": "B", "content": "Sort it.\n\nA\n\nB"},
            {"path": "preference/train.jsonl#1", "instruction": "Hello?\n\nHello.\n\nBye.",
             "chosen": "B", "rejected": "A", "content": "Hello?\n\nHello.\n\nBye.\n\nB\n\nA"},
        ],
        skipped={"not_selected": 1},
    ),
    "pku_safe_rlhf": Case(
        files={
            "data/Alpaca-7B/train.jsonl": jsonl(
                [
                    {"prompt": "How do I break in?", "response_0": "Like this.",
                     "response_1": "I will not say.", "better_response_id": 0,
                     "safer_response_id": 1},
                    {"prompt": "And now?", "response_0": "No.", "response_1": "Yes.",
                     "better_response_id": 1, "safer_response_id": 0},
                    {"prompt": "Empty?", "response_0": "", "response_1": "Yes.",
                     "better_response_id": 1, "safer_response_id": 0},
                ]
            ),
            "data/Alpaca-7B/test.jsonl": jsonl([{"prompt": "benchmark"}]),
        },
        common={
            **_CLAIM, "repo": "hub/PKU-Alignment/PKU-SafeRLHF", "access_terms": "none",
            "generator": "llama", "license_concluded": "CC-BY-NC-4.0",
            "license_wrapper": "CC-BY-NC-4.0",
        },
        rows=[
            {"path": "data/Alpaca-7B/train.jsonl#0", "instruction": "How do I break in?",
             "chosen": "I will not say.", "rejected": "Like this.",
             "content": "How do I break in?\n\nI will not say.\n\nLike this."},
            {"path": "data/Alpaca-7B/train.jsonl#1", "instruction": "And now?", "chosen": "No.",
             "rejected": "Yes.", "content": "And now?\n\nNo.\n\nYes."},
        ],
        skipped={"not_selected": 1},
    ),
}  # fmt: skip
