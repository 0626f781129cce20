"""Software Heritage ids to `raw/<source>`, ours and the dataset card's loop in one run.

    python -m tritter_assets_tests.benchmarks.swh_ingest [CORPUS.parquet]

The corpus (columns repo, path, language, content) becomes gzip blobs behind a local S3 endpoint in
its own process, and a Parquet file of ids behind a local Hub, in another. Some keys are missing,
some objects damaged, and now and then the endpoint answers 503 SlowDown. Every side runs in its own
process, so that CPU seconds and peak memory are its own:

- ours: `ingest_shard` from the Hub's Parquet file to the committed Delta table, licences concluded;
- card: `ds.map` over the same ids, one row at a time, with boto3, smart_open and
  `.decode(src_encoding)`, as the cards of The Stack v2 and Stack-Edu have it, to `datasets`' own
  Arrow file; blobs that fail are caught, which the card does not do.

`ratio` is rows a second at 30 ms per request, as over a network; `ratio_no_latency` the same with
answers at once, where only the client's own cost counts. The two sides and the servers share the
machine's cores. `memory` is the peak of our process at two shard sizes, with a sort budget of
32 MB. `moto` repeats ours against moto's S3 server, whose own cost is what limits that figure.

Prints one JSON object last.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets_tests.benchmarks.harness import ROOT, corpus_path, report

MODULE = "tritter_assets_tests.benchmarks.swh_ingest"
LATENCY_MS = 30
OUR_ROWS = 8_000
LARGE_ROWS = 24_000
PEER_ROWS = {LATENCY_MS: 300, 0: 1_500}
MOTO_ROWS = 1_000
MAX_BLOB_BYTES = 1 << 20
COMMIT = "b" * 40
BAD_EVERY = 200
"""Every so many blobs one is missing and the next one damaged."""


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] in _ROLES:
        _ROLES[sys.argv[1]](*sys.argv[2:])
        return
    arguments = [a for a in sys.argv[1:] if not a.startswith("-")]
    corpus = Path(arguments[0]) if arguments else corpus_path()
    with tempfile.TemporaryDirectory(prefix="tritter-swh-") as name:
        folder = Path(name)
        made = _make_ids(corpus, folder)
        result: dict[str, Any] = {}
        for latency in (LATENCY_MS, 0):
            with _Servers(folder, latency) as servers:
                result[f"ours_{latency}"] = _run(
                    "ours", folder, servers, OUR_ROWS, label=f"{latency}"
                )
                result[f"card_{latency}"] = _run(
                    "card", folder, servers, PEER_ROWS[latency], label=f"{latency}"
                )
        with _Servers(folder, 0) as servers:
            sizes = [
                _run("ours", folder, servers, rows, label="memory", memory_mb=32)
                for rows in (OUR_ROWS, LARGE_ROWS)
            ]
        with _Servers(folder, 0, moto_rows=MOTO_ROWS) as servers:
            moto = _run("ours", folder, servers, MOTO_ROWS, label="moto")
    slow, fast = result[f"ours_{LATENCY_MS}"], result["ours_0"]
    card_slow, card_fast = result[f"card_{LATENCY_MS}"], result["card_0"]
    report(
        "swh_ingest",
        slow["rows_s"],
        f"rows per second at {LATENCY_MS} ms per request, upstream to raw table",
        {"card loop": card_slow["rows_s"]},
        round(slow["rows_s"] / card_slow["rows_s"], 1),
        ratio_no_latency=round(fast["rows_s"] / card_fast["rows_s"], 1),
        ours_mb_s=slow["mb_s"],
        ours_rows_s=slow["rows_s"],
        ours_mb_s_cpu=slow["mb_s_cpu"],
        peer_mb_s=card_slow["mb_s"],
        peer_rows_s=card_slow["rows_s"],
        peer_mb_s_cpu=card_slow["mb_s_cpu"],
        no_latency={"ours": fast, "card loop": card_fast},
        failures=slow["skipped"],
        memory={
            "content_mb": [run["mb"] for run in sizes],
            "peak_rss_mb": [run["peak_rss_mb"] for run in sizes],
        },
        moto={name: moto[name] for name in ("rows_s", "mb_s", "mb_s_cpu", "skipped")},
        blobs=made,
        cores=os.cpu_count(),
    )


# -- upstream ------------------------------------------------------------------------------------


def _make_ids(corpus: Path, folder: Path) -> dict[str, Any]:
    """Writes the blobs as one Parquet file, and the ids as an upstream would."""
    table = pq.read_table(corpus, columns=["repo", "path", "language", "content"])
    rows: list[dict[str, Any]] = []
    size = 0
    for number, row in enumerate(_endless(table)):
        raw = row["content"].encode("utf-8", "surrogatepass")
        if number >= table.num_rows:  # a small corpus is used again, with other ids
            raw += f"\n# {number}\n".encode()
        if not raw or len(raw) > MAX_BLOB_BYTES:
            continue
        size += len(raw)
        rows.append(
            {
                "blob_id": hashlib.sha1(b"blob %d\0" % len(raw) + raw).hexdigest(),
                "src_encoding": "UTF-8",
                "repo_name": row["repo"],
                "path": row["path"],
                "language": row["language"],
                "detected_licenses": ["MIT"],
                "packed": gzip.compress(raw, 6),
            }
        )
        if len(rows) == LARGE_ROWS:
            break
    whole = pa.Table.from_pylist(rows)
    pq.write_table(whole.select(["blob_id", "packed"]), folder / "blobs.parquet")
    for count in {OUR_ROWS, LARGE_ROWS, MOTO_ROWS, *PEER_ROWS.values()}:
        ids = whole.drop_columns(["packed"]).slice(0, count)
        pq.write_table(ids, folder / f"ids_{count}.parquet", row_group_size=2_000)
    return {"rows": len(rows), "mb": round(size / 1e6, 1), "mean_bytes": size // len(rows)}


def _endless(table: pa.Table) -> Iterator[dict[str, Any]]:
    while True:
        for batch in table.to_batches(max_chunksize=1_000):
            yield from batch.to_pylist()


class _Servers:
    """The S3 endpoint and the Hub, each in its own process."""

    def __init__(self, folder: Path, latency_ms: int, moto_rows: int = 0) -> None:
        first = ("moto", str(moto_rows)) if moto_rows else ("s3", str(latency_ms))
        self._commands = [(first[0], str(folder), first[1]), ("hub", str(folder))]
        self._processes: list[subprocess.Popen[str]] = []
        self.addresses: list[str] = []

    def __enter__(self) -> _Servers:
        for command in self._commands:
            process = subprocess.Popen(
                [sys.executable, "-m", MODULE, *command],
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
            )
            self._processes.append(process)
            assert process.stdout is not None
            self.addresses.append(process.stdout.readline().strip())
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


def _objects(folder: Path) -> Iterator[tuple[str, bytes]]:
    """What the bucket holds: (blob id, object)."""
    for number, row in enumerate(pq.read_table(folder / "blobs.parquet").to_pylist()):
        body = row["packed"]
        if number % BAD_EVERY:
            yield row["blob_id"], body[: len(body) // 2] if number % BAD_EVERY == 1 else body


def serve_s3(folder: str, latency_ms: str) -> None:
    """GetObject over HTTP/1.1 with keep-alive, and nothing else."""
    import asyncio

    try:
        import uvloop  # comes with the Dagster UI's server; leaves more of the cores to the clients
    except ImportError:
        asyncio.run(_serve_s3(Path(folder), int(latency_ms) / 1000))
    else:
        uvloop.run(_serve_s3(Path(folder), int(latency_ms) / 1000))


async def _serve_s3(folder: Path, latency: float) -> None:
    import asyncio

    bodies = {blob_id.encode(): body for blob_id, body in _objects(folder)}
    missing = b"<Error><Code>NoSuchKey</Code></Error>"
    slow = b"<Error><Code>SlowDown</Code></Error>"
    answered = 0
    loop = asyncio.get_running_loop()

    class _S3(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._transport: Any = transport
            self._buffer = b""

        def data_received(self, data: bytes) -> None:
            nonlocal answered
            self._buffer += data
            while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
                head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
                key = head.split(b" ", 2)[1].partition(b"?")[0].rsplit(b"/", 1)[-1]
                answered += 1
                body = bodies.get(key)
                if answered % 1_000 == 0:
                    self._later(b"503 Slow Down", slow)
                elif body is None:
                    self._later(b"404 Not Found", missing)
                else:
                    self._later(b"200 OK", body)

        def _later(self, status: bytes, body: bytes) -> None:
            kind = b"application/xml" if body[:1] == b"<" else b"binary/octet-stream"
            raw = (
                b"HTTP/1.1 %b\r\nx-amz-request-id: 0123456789ABCDEF\r\n"
                b'ETag: "0123456789abcdef"\r\nContent-Type: %b\r\nServer: AmazonS3\r\n'
                b"Content-Length: %d\r\n\r\n" % (status, kind, len(body))
            ) + body
            if latency:
                loop.call_later(latency, self._send, raw)
            else:
                self._send(raw)

        def _send(self, raw: bytes) -> None:
            if not self._transport.is_closing():
                self._transport.write(raw)

    server = await loop.create_server(_S3, "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


def serve_moto(folder: str, rows: str) -> None:
    """Moto's S3 server with the first blobs; bad ones as in the other server."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",
    )
    client.create_bucket(Bucket="softwareheritage")
    for blob_id, body in islice(_objects(Path(folder)), int(rows)):
        client.put_object(Bucket="softwareheritage", Key=f"content/{blob_id}", Body=body)
    print(f"http://{host}:{port}", flush=True)
    time.sleep(3600)


def serve_hub(folder: str) -> None:
    """A Hub with one data set: the files of ids."""
    from tritter_assets_tests.sources.servers import HubServer

    files = {p.name: p.read_bytes() for p in sorted(Path(folder).glob("ids_*.parquet"))}
    with HubServer("bench/ids", COMMIT, files, page_size=100).running() as server:
        print(server.url, flush=True)
        time.sleep(3600)


# -- the two sides -------------------------------------------------------------------------------


def _run(
    side: str, folder: Path, servers: _Servers, rows: int, *, label: str, memory_mb: int = 512
) -> dict[str, Any]:
    environment = os.environ | {
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "HF_HOME": str(folder / "hf"),
    }
    work = folder / f"{side}_{label}_{rows}"
    command = [sys.executable, "-m", MODULE, side, str(folder), str(work), *servers.addresses]
    command += [str(rows), str(memory_mb)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{side} failed:\n{done.stderr[-4000:]}")
    figures = json.loads(done.stdout.splitlines()[-1])
    print(side, label, figures, file=sys.stderr)
    return figures


def run_ours(_: str, work: str, s3: str, hub: str, rows: str, memory_mb: str) -> None:
    from tritter_assets.contracts.source import HubOrigin, LicenceFacts, SourceContract
    from tritter_assets.lake import Lake, fingerprint_of
    from tritter_assets.record import Modality
    from tritter_assets.settings import load_settings
    from tritter_assets.sources.hub import HubLoader
    from tritter_assets.sources.hub_client import HubClient
    from tritter_assets.sources.ingest import ingest_shard
    from tritter_assets.sources.swh import BlobStore

    contract = SourceContract(
        id="swh_bench",
        title="Bench",
        description="",
        owner="team:bench",
        tier=1,
        priority=1,
        modality=Modality.CODE,
        languages=(),
        profiles=("bench",),
        origin=HubOrigin(
            repo="bench/ids",
            revision=COMMIT,
            data_files=(f"ids_{rows}.parquet",),
            content_from="swh",
        ),
        columns={
            "revision": "blob_id",
            "repo": "repo_name",
            "path": "path",
            "language": "language",
        },
        licence=LicenceFacts(row_column="detected_licenses"),
        num_shards=1,
    )
    settings = load_settings(ROOT, {})
    policy = settings.catalog().policy
    loader = HubLoader(client=HubClient(endpoint=hub), blobs=BlobStore(endpoint=s3))

    begin, cpu = time.perf_counter(), time.process_time()
    found = ingest_shard(
        Lake.at(f"{work}/lake"),
        contract,
        "000",
        policy=policy,
        cache=Path(f"{work}/cache"),
        fingerprint=fingerprint_of("bench"),
        project_root=ROOT,
        loader=loader,
        memory_limit_bytes=int(memory_mb) << 20,
    )
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
    _print_figures(
        found.num_rows + found.num_duplicates,
        found.content_bytes,
        seconds,
        cpu_seconds,
        skipped=dict(found.skipped),
    )


def run_card(folder: str, work: str, s3: str, _: str, rows: str, __: str) -> None:
    """The loop of the cards; what they leave out is that some blobs fail."""
    import boto3
    from datasets import Dataset, load_dataset
    from smart_open import open as smart_open

    client = boto3.client("s3", endpoint_url=s3)
    counts = {"bytes": 0, "failed": 0}

    def download(row: dict[str, Any]) -> dict[str, Any]:
        url = f"s3://softwareheritage/content/{row['blob_id']}"
        try:
            with smart_open(
                url, "rb", compression=".gz", transport_params={"client": client}
            ) as stream:
                content = stream.read().decode(row["src_encoding"])
        except (OSError, EOFError):
            counts["failed"] += 1
            return {"content": ""}
        counts["bytes"] += len(content.encode())
        return {"content": content}

    begin, cpu = time.perf_counter(), time.process_time()
    found = load_dataset(
        "parquet", data_files=f"{folder}/ids_{rows}.parquet", split="train", cache_dir=work
    )
    assert isinstance(found, Dataset)
    count = len(found.map(download)) - counts["failed"]
    seconds, cpu_seconds = time.perf_counter() - begin, time.process_time() - cpu
    _print_figures(count, counts["bytes"], seconds, cpu_seconds, skipped=counts["failed"])


def _print_figures(
    rows: int, size: int, seconds: float, cpu_seconds: float, *, skipped: Any
) -> None:
    figures = {
        "rows": rows,
        "mb": round(size / 1e6, 1),
        "rows_s": round(rows / seconds, 1),
        "mb_s": round(size / 1e6 / seconds, 2),
        "cpu_ms_row": round(cpu_seconds / rows * 1000, 3),
        "mb_s_cpu": round(size / 1e6 / cpu_seconds, 2),
        "peak_rss_mb": _peak_mb(),
        "skipped": skipped,
    }
    print(json.dumps(figures))


def _peak_mb() -> int:
    """Peak resident memory of this process; `ru_maxrss` would count the parent's at the fork."""
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1]) // 1024


_ROLES = {
    "s3": serve_s3,
    "moto": serve_moto,
    "hub": serve_hub,
    "ours": run_ours,
    "card": run_card,
}


if __name__ == "__main__":
    main()
