"""What a source contract says, as frozen dataclasses. Parsing is in `parse_source.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from tritter_assets.contracts.crate_origin import CrateOrigin
from tritter_assets.contracts.preference_pair import PreferencePair
from tritter_assets.contracts.row_filter import RowFilter
from tritter_assets.record import HUMAN, NOASSERTION, Modality

NOTHING = "none"
"""Upstream was asked and states nothing: no licence tag, no gate."""

GATES = (NOTHING, "auto", "manual")
"""Who opens a gate on the Hub: nobody has to, the Hub at once, or the owner by hand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SdistOrigin:
    """A source distribution on the Python package index; read as an archive, never built."""

    package: str
    version: str
    sha256: str
    """Of the `.tar.gz`, in hex; a download with another hash is refused."""
    include: tuple[str, ...] = ("**",)
    """Globs on the path inside the archive, its top folder left out."""
    exclude: tuple[str, ...] = ()
    kind: str = "sdist"


@dataclass(frozen=True, kw_only=True, slots=True)
class HubOrigin:
    """Data files of a Hugging Face dataset repository at a pinned revision."""

    repo: str
    revision: str
    """A commit hash; `unpinned` until the first listing, which a check then asks to pin."""
    branch: str | None = None
    """Read while the revision is unpinned; None: the default branch. A data set that is a loading
    script has its rows on `refs/convert/parquet`, where the Hub puts what it made of the script."""
    config: str | None = None
    data_dir: str | None = None
    data_files: tuple[str, ...] = ()
    """Globs; empty means every data file of `config` or `data_dir`."""
    split: str = "train"
    file_format: str = "parquet"
    gated: bool = False
    content_from: str | None = None
    """`swh` when rows carry Software Heritage blob ids instead of text."""
    kind: str = "hub"


@dataclass(frozen=True, kw_only=True, slots=True)
class GitOrigin:
    """Files of a git repository at a pinned commit."""

    url: str
    commit: str
    tag: str | None = None
    """The tag to fetch by; a tag that names another commit is refused."""
    include: tuple[str, ...] = ("**",)
    exclude: tuple[str, ...] = ()
    kind: str = "git"


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpOrigin:
    """One archive or data file at an address, pinned by its hash."""

    url: str
    sha256: str
    """Of the file, in hex; `unpinned` stands in the catalogue and is never fetched."""
    file_format: str
    inner_format: str | None = None
    """Format of the data files inside a zip; None: its members are files of text."""
    include: tuple[str, ...] = ("**",)
    """Globs on the path inside the archive."""
    exclude: tuple[str, ...] = ()
    kind: str = "http"


@dataclass(frozen=True, kw_only=True, slots=True)
class FileOrigin:
    """A local Parquet, JSONL or CSV file, or a folder of text files."""

    path: str
    """Relative to the folder that holds `data_contracts`, or absolute."""
    file_format: str
    """`parquet`, `jsonl`, `csv` or `folder`."""
    include: tuple[str, ...] = ("**",)
    kind: str = "file"


Origin = SdistOrigin | HubOrigin | GitOrigin | HttpOrigin | FileOrigin | CrateOrigin


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenceFacts:
    """The four axes as the contract states them, and where the claim and the finding differ."""

    content: str = NOASSERTION
    """SPDX expression that covers every row, or NOASSERTION: each row must then prove its own."""
    row_column: str | None = None
    """Upstream column that holds each row's own licence."""
    wrapper: str = NOASSERTION
    """SPDX expression of the dataset or database as a whole."""
    access_terms: str = "none"
    """Key of `policy/access_terms.yaml`; `none` when nothing had to be agreed to."""
    generator: str = HUMAN
    """Key of `policy/generators.yaml`."""
    claimed: str = ""
    found: str = ""
    evidence: str = ""
    as_of: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why a source stands in the catalogue and can never be materialised."""

    clause: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityRule:
    """One ODCS quality rule, checked on `raw/<source>` by an asset check."""

    name: str
    column: str | None
    rule: str
    """ODCS library metric: `nullValues`, `duplicateValues`, `rowCount`, `invalidValues`."""
    must_be: str
    """Operator of the rule: `mustBe`, `mustBeGreaterThan`, `mustBeLessThan`, ..."""
    value: float
    valid_values: tuple[str, ...] = ()
    severity: str = "error"


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceColumn:
    """A column that upstream promises."""

    name: str
    logical_type: str
    required: bool = False
    description: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamClaim:
    """What upstream said when a person last looked; it decides nothing about the rows.

    A field that is left out makes no claim: drift of it is measured from the first observation.
    """

    licence_tag: str = ""
    """As upstream writes it, several in alphabetical order; `none` when there is no tag."""
    gated: str = ""
    """One of `GATES`."""
    readme_sha256: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Upstream column -> ODCS logical type."""
    as_of: date | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceContract:
    """One dataset: where its rows are, how they map to document rows, and what we may do."""

    id: str
    title: str
    description: str
    owner: str
    """`team:<name>` or an e-mail address."""
    tier: int
    priority: int
    """Survivors of duplicate clusters come from the source with the smallest priority."""
    modality: Modality
    languages: tuple[str, ...]
    profiles: tuple[str, ...]
    """Deployment profiles that take part: `starter`, `workstation`, `cluster`."""
    origin: Origin
    columns: Mapping[str, str]
    """Document column -> upstream column. For files, `content` and `path` are implied."""
    licence: LicenceFacts
    num_shards: int
    tags: tuple[str, ...] = ()
    refusal: Refusal | None = None
    clean: str | None = None
    """`documentation` when files become clean Markdown; None keeps their own text."""
    row_filter: RowFilter | None = None
    """Which of upstream's rows are taken; None takes them all."""
    preference_pair: PreferencePair | None = None
    """How the better and the worse answer of a row are found; None: `columns` maps them."""
    upstream_schema: tuple[SourceColumn, ...] = ()
    upstream: UpstreamClaim | None = None
    """What upstream said when it was last pinned; drift is measured against it."""
    quality: tuple[QualityRule, ...] = ()
    file: Path = field(default_factory=Path)
    digest: str = ""
    """SHA-256 of the identity-bearing fields; part of the code version of `raw/<id>`."""

    @property
    def shards(self) -> tuple[str, ...]:
        """Partition keys: `000`, `001`, ..."""
        return tuple(f"{number:03d}" for number in range(self.num_shards))
