"""gitleaks and TruffleHog over a sample of documents, compared with stage 11 line by line.

Documents are written to a private folder under neutral names (a file called `.gitleaks.toml` would
be read as the scanner's configuration), and removed with it. Of what a tool reports only rule and
line are kept. No tool reaches a network: gitleaks has no such feature, TruffleHog is told not to
verify and not to update itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.contracts.yaml_file import YamlFile
from tritter_assets.errors import ContractViolation
from tritter_assets.filters.secret_formats import NO_FORMATS, SecretFormats
from tritter_assets.filters.secret_plugins import detect

FILE_NAME = "secret_tools.yaml"
_EXAMPLES = 20
_KEYS = {"tools", "documents_per_shard", "seed", "timeout_s"}

Line = tuple[int, int]
"""Row of the sample and number of the line."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretToolsConfig:
    """`policy/secret_tools.yaml`."""

    tools: Mapping[str, str]
    """Key of `TOOLS` -> program."""
    documents_per_shard: int
    seed: int
    timeout_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolReport:
    """What one tool said of the sample."""

    tool: str
    state: str
    """`ran`, or `not run: ...` with the reason."""
    version: str = ""
    documents: int = 0
    lines: int = 0
    """Lines on which the tool found something."""
    lines_shared: int = 0
    """Of these, lines on which stage 11 found something too."""
    lines_only_ours: int = 0
    only_theirs: Mapping[str, int] = field(default_factory=dict)
    """Rule -> lines that only the tool has."""
    examples: tuple[str, ...] = ()
    """Path, line and rule of such lines; never the secret."""


def load_secret_tools(path: Path) -> SecretToolsConfig:
    """Reads `policy/secret_tools.yaml`; without the file no tool is run.

    Raises:
        ContractViolation: a key or a tool is not known.
    """
    if not path.is_file():
        return SecretToolsConfig(tools={}, documents_per_shard=0, seed=0, timeout_s=0)
    raw = YamlFile(path).data
    tools = raw.get("tools") or {}
    if set(raw) != _KEYS or not isinstance(tools, Mapping) or set(tools) - set(TOOLS):
        raise ContractViolation(
            f"policy/{FILE_NAME}: keys {sorted(raw)} with tools {tools}; it takes {sorted(_KEYS)} "
            f"and knows the tools {sorted(TOOLS)}"
        )
    return SecretToolsConfig(
        tools={str(name): str(program) for name, program in tools.items()},
        documents_per_shard=int(raw["documents_per_shard"]),
        seed=int(raw["seed"]),
        timeout_s=float(raw["timeout_s"]),
    )


def cross_check(
    documents: pl.DataFrame, config: SecretToolsConfig, formats: SecretFormats = NO_FORMATS
) -> list[ToolReport]:
    """Runs each tool of the config over documents and compares lines with ours.

    Args:
        documents: Columns path and content.
        config: Tools and their limit of time.
        formats: Vendors' forms in force.
    """
    ours = lines_of_stage(documents, formats)
    return [
        _report(name, program, documents, ours, config.timeout_s)
        for name, program in sorted(config.tools.items())
    ]


def lines_of_stage(documents: pl.DataFrame, formats: SecretFormats) -> set[Line]:
    """Returns the lines on which stage 11 finds something, whatever the policy does with it."""
    contents = documents["content"]
    paths = [path or "" for path in documents["path"].to_list()]
    detection = detect(contents, paths, prefixes=formats.prefixes)
    lines = {(row, found.line) for row, all_ in detection.findings.items() for found in all_}
    for row, number, start, end in detection.format_lines:
        if any(formats.find(contents[row][start:end])):
            lines.add((row, number))
    return lines


def _report(
    name: str, program: str, documents: pl.DataFrame, ours: set[Line], timeout_s: float
) -> ToolReport:
    found = shutil.which(program)
    if found is None:
        return ToolReport(tool=name, state=f"not run: {program} not found")
    command, version_command, read = TOOLS[name]
    with tempfile.TemporaryDirectory(prefix="tritter-secrets-") as place:
        folder = Path(place) / "documents"
        folder.mkdir()
        for row, (path, content) in enumerate(documents.select("path", "content").iter_rows()):
            _file(folder, row, path or "").write_text(content, encoding="utf-8", newline="")
        environment = {"PATH": os.environ.get("PATH", ""), "HOME": place, "TMPDIR": place}

        def run(arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [found, *arguments], cwd=place, env=environment, timeout=timeout_s,
                capture_output=True, text=True, errors="replace", check=False,
            )  # fmt: skip

        try:
            version = run(version_command)
            done = run([part.replace("{documents}", str(folder)) for part in command])
            if done.returncode:
                last = (done.stderr or done.stdout).strip().splitlines()[-1:]
                return ToolReport(tool=name, state=f"not run: exit status {done.returncode} {last}")
            theirs = list(read(Path(place), done.stdout))
        except subprocess.TimeoutExpired:
            return ToolReport(tool=name, state=f"not run: took more than {timeout_s:g} s")
        except (OSError, ValueError, KeyError, TypeError) as error:
            return ToolReport(tool=name, state=f"not run: {type(error).__name__}: {error}")
    lines = {(row, line) for row, line, _ in theirs}
    only = sorted({found for found in theirs if found[:2] not in ours})
    paths = documents["path"].to_list()
    shown = (version.stdout or version.stderr).strip().splitlines()[:1]
    return ToolReport(
        tool=name,
        state="ran",
        version="".join(shown),
        documents=documents.height,
        lines=len(lines),
        lines_shared=len(lines & ours),
        lines_only_ours=len(ours - lines),
        only_theirs=dict(sorted(Counter(rule for _, _, rule in only).items())),
        examples=tuple(f"{paths[row]}:{line} {rule}" for row, line, rule in only[:_EXAMPLES]),
    )


def _file(folder: Path, row: int, path: str) -> Path:
    suffix = Path(path).suffix
    return folder / f"{row}{suffix if re.fullmatch(r'[.][A-Za-z0-9]{1,10}', suffix) else '.txt'}"


def _gitleaks_lines(place: Path, output: str) -> Iterator[tuple[int, int, str]]:
    del output
    for found in json.loads((place / "report.json").read_text("utf-8")) or ():
        yield int(Path(found["File"]).stem), int(found["StartLine"]), str(found["RuleID"])


def _trufflehog_lines(place: Path, output: str) -> Iterator[tuple[int, int, str]]:
    del place
    for text in output.splitlines():
        found = json.loads(text) if text.startswith("{") else {}
        if "SourceMetadata" in found:
            where = found["SourceMetadata"]["Data"]["Filesystem"]
            yield int(Path(where["file"]).stem), int(where["line"]), str(found["DetectorName"])


_Reader = Callable[[Path, str], Iterator[tuple[int, int, str]]]

TOOLS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...], _Reader]] = {
    "gitleaks": (
        ("dir", "{documents}", "--report-format", "json", "--report-path", "report.json",
         "--redact", "--exit-code", "0", "--no-banner", "--no-color"),
        ("version",),
        _gitleaks_lines,
    ),
    "trufflehog": (
        ("filesystem", "{documents}", "--json", "--no-verification", "--no-update"),
        ("--version",),
        _trufflehog_lines,
    ),
}  # fmt: skip
"""Tool -> arguments, arguments that show its version, and reader of its report."""


def report_facts(reports: Sequence[ToolReport]) -> dict[str, Any]:
    """Returns what is shown of reports, tool by tool."""
    return {
        report.tool: report.state
        if report.state != "ran"
        else {
            "version": report.version,
            "documents": report.documents,
            "lines": report.lines,
            "lines shared with stage 11": report.lines_shared,
            "lines of stage 11 alone": report.lines_only_ours,
            "lines of the tool alone": dict(report.only_theirs),
            "examples": list(report.examples),
        }
        for report in reports
    }
