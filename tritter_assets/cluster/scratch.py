"""Frames between the steps of a run: Parquet under `_cluster/` of the lake, gone afterwards."""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from tritter_assets.lake import Lake
from tritter_assets.lake.location import LakeLocation
from tritter_assets.lake.reading import READ_BATCH_ROWS

if TYPE_CHECKING:
    from daft import DataFrame

T = TypeVar("T")

ATTEMPTS = 4
"""How often a set-wise step is run: Daft gives up a query whose shuffled data a node took along."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Scratch:
    """A folder of the lake for one run of one step; it travels to workers."""

    location: LakeLocation
    name: str

    @classmethod
    def of(cls, lake: Lake, name: str) -> Scratch:
        """Returns an empty scratch folder, clearing what a run that died left in it."""
        scratch = cls(lake.location, f"_cluster/{name}")
        scratch.clear()
        return scratch

    def clear(self) -> None:
        """Removes the folder."""
        parent, _, name = self.name.rpartition("/")
        filesystem = self.location.filesystem(parent)
        if filesystem.get_file_info(name).type is not pafs.FileType.NotFound:
            filesystem.delete_dir(name)

    def uri(self, step: str) -> str:
        """Where a step's files are."""
        return self.location.uri(f"{self.name}/{step}")

    # -- frames of Daft --------------------------------------------------------------------------

    def store(self, step: str, frame: DataFrame, *, by: str | None = None) -> DataFrame:
        """Writes a frame, in one folder per value of `by` when given, and returns it read back."""
        import daft

        schema = frame.schema()
        cut = frame
        if by is not None and daft.get_or_infer_runner_type() == "ray":
            # One file per folder and worker, not one per folder and partition.
            cut = frame.repartition(None, by)
        self.attempt(
            step,
            lambda: cut.write_parquet(
                self.uri(step),
                compression="zstd",
                write_mode="overwrite",
                partition_cols=None if by is None else [by],
                io_config=io_config(self.location),
            ),
        )
        return self.load(step) if self.num_rows(step) else empty_frame(schema)

    def attempt(self, step: str, work: Callable[[], T]) -> T:
        """Does a set-wise step, and again when a node took shuffled data along.

        What a lost node raises depends on where Daft was; a step is pure, so one that is wrong
        fails every time and is raised in the end.
        """
        for number in range(1, ATTEMPTS + 1):
            started = time.perf_counter()
            try:
                found = work()
            except Exception as error:
                _LOG.warning("step %s: attempt %d of %d: %s", step, number, ATTEMPTS, error)
                if number == ATTEMPTS:
                    raise
            else:
                _LOG.info("step %s: %.1f s", step, time.perf_counter() - started)
                return found
        raise AssertionError("unreachable: the last attempt returns or raises")

    def load(self, step: str) -> DataFrame:
        """Reads what `store` or workers wrote."""
        import daft

        return daft.read_parquet(
            f"{self.uri(step)}/**/*.parquet", io_config=io_config(self.location)
        )

    def load_or_empty(self, step: str, schema: pa.Schema) -> DataFrame:
        """Reads what workers wrote; no file means no rows."""
        import daft

        if self.num_rows(step):
            return self.load(step)
        return daft.from_arrow(schema.empty_table())

    def num_rows(self, step: str) -> int:
        """Counts a step's rows by the footers of its files, which costs no query."""
        filesystem = self.location.filesystem(self.name)
        return sum(
            pq.read_metadata(path, filesystem=filesystem).num_rows for path in self._files(step)
        )

    def parts(self, step: str, column: str) -> set[str]:
        """Returns the values of `by` that a step stored rows of."""
        folders = (path.rpartition("/")[0] for path in self._files(step))
        return {folder.rpartition(f"/{column}=")[2] for folder in folders}

    # -- files of workers ------------------------------------------------------------------------

    def write_file(self, path: str, rows: pa.Table) -> None:
        """Writes one file; a task that runs again replaces it."""
        filesystem = self.location.filesystem(self.name)
        filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        with filesystem.open_output_stream(path) as sink:
            pq.write_table(rows, sink, compression="zstd")

    def read_folder(self, path: str, schema: Mapping[str, type[pl.DataType]]) -> pl.DataFrame:
        """Reads the files of a folder into memory; no such folder means no rows."""
        frames = [
            pl.DataFrame(batch).cast({**schema})
            for batch in self.stream_folder(path, list(schema), batch_rows=1 << 20)
        ]
        return pl.concat(frames) if frames else pl.DataFrame(schema=schema)

    def stream_folder(
        self, path: str, columns: list[str], *, batch_rows: int = READ_BATCH_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Reads the files of a folder batch by batch, in the order of their names."""
        filesystem = self.location.filesystem(self.name)
        for name in self._files(path):
            with filesystem.open_input_file(name) as file:
                yield from pq.ParquetFile(file).iter_batches(batch_rows, columns=columns)

    def _files(self, path: str) -> list[str]:
        selector = pafs.FileSelector(path, allow_not_found=True, recursive=True)
        found = self.location.filesystem(self.name).get_file_info(selector)
        return sorted(info.path for info in found if info.path.endswith(".parquet"))


def empty_frame(schema: Any) -> DataFrame:
    """Returns a Daft frame of a schema without rows."""
    import daft

    return daft.from_arrow(schema.to_pyarrow_schema().empty_table())


def io_config(location: LakeLocation) -> Any:
    """Returns Daft's way to open the lake: the same server and credentials as delta-rs has."""
    from daft.io import IOConfig, S3Config

    if location.is_local:
        return IOConfig()
    options = location.storage_options
    return IOConfig(
        s3=S3Config(
            key_id=options.get("aws_access_key_id"),
            access_key=options.get("aws_secret_access_key"),
            session_token=options.get("aws_session_token"),
            region_name=options.get("aws_region"),
            endpoint_url=options.get("aws_endpoint_url"),
            use_ssl=not options.get("aws_endpoint_url", "").startswith("http://"),
        )
    )
