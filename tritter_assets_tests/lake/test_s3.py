"""The same lake on S3, spoken to a moto server, with the credentials of dagster-aws."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import polars as pl
import pytest

from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lake.removals import read_removals
from tritter_assets.lineage.forget import request_removal
from tritter_assets.lineage.proof import prove_absence
from tritter_assets.lineage.purge import PurgeReport, purge_files, purge_rows
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.settings import load_settings
from tritter_assets_tests.corpus import write_project
from tritter_assets_tests.lake.test_keyed_files import SCHEMA as KEYED
from tritter_assets_tests.lake.test_table import MADE_FROM, SCHEMA, batch
from tritter_assets_tests.lineage import small_lake as small

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_REGION": "us-east-1",
    "TRITTER_LAKE": "s3://tritter-lake/one",
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A moto server in a process of its own: in a thread it would share the client's GIL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    _wait_until_open(port)
    client = boto3.client(
        "s3",
        endpoint_url=address,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )
    client.create_bucket(Bucket="tritter-lake")
    yield address
    server.kill()
    server.wait()


def _wait_until_open(port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError("the moto server did not start")


def test_one_setting_puts_the_lake_on_s3(endpoint: str, tmp_path: Path) -> None:
    project = write_project(tmp_path)
    settings = load_settings(project, ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint})
    lake = settings.lake()
    for shard in ("000", "001", "000"):
        lake.write(
            "raw/x",
            [batch(shard, [f"{shard}-a", f"{shard}-b"])],
            SCHEMA,
            fingerprint=MADE_FROM,
            partition={"shard": shard},
        )
    assert lake.scan("raw/x").collect().height == 4
    assert sum(b.num_rows for b in lake.batches("raw/x", partition={"shard": "001"})) == 2
    assert lake.is_fresh("raw/x", MADE_FROM, {"shard": "000"})
    assert not lake.exists("raw/y")


def test_single_rows_of_a_table_on_s3_are_replaced(endpoint: str, tmp_path: Path) -> None:
    lake = load_settings(
        write_project(tmp_path), ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint}
    ).lake()
    rows = pl.DataFrame({"id": ["1", "2", "3"], "key": ["a", "b", "c"], "names": [["x"]] * 3})
    options = {"schema": KEYED, "order": ("key", "id"), "fingerprint": MADE_FROM}
    lake.replace_keys("keyed", rows, dropped=None, **options)
    change = lake.replace_keys("keyed", rows[:1], dropped=pl.Series(["c"]), **options)
    # No deletion vectors there: the file that loses a row is written again.
    assert (len(change.removed), len(change.added)) == (1, 1)
    assert lake.scan("keyed").collect().sort("key")["key"].to_list() == ["a", "b"]
    assert lake.state("keyed").num_rows == 2


def test_artifacts_on_s3_come_back_through_the_cache(endpoint: str, tmp_path: Path) -> None:
    options = {
        "aws_access_key_id": "testing",
        "aws_secret_access_key": "testing",
        "aws_region": "us-east-1",
        "aws_endpoint_url": endpoint,
        "aws_allow_http": "true",
        "aws_conditional_put": "etag",
    }
    store = ArtifactStore(Lake.at("s3://tritter-lake/two", options), cache=tmp_path / "cache")
    source = tmp_path / "file.bin"
    source.write_bytes(b"0123456789" * 1000)
    store.put("export/x", {"file.bin": source}, fingerprint=MADE_FROM)
    assert store.open_local("export/x", "file.bin").read_bytes() == source.read_bytes()


def test_dagster_aws_credentials_open_the_lake(endpoint: str, tmp_path: Path) -> None:
    from tritter_assets.definitions import lake_resource

    project = write_project(tmp_path)
    settings = load_settings(project, ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint})
    lake = lake_resource(settings).open()
    assert lake.location.storage_options["aws_endpoint_url"] == endpoint
    lake.write("via_dagster", [batch("0", ["a"])], SCHEMA, fingerprint=MADE_FROM)
    assert lake.scan("via_dagster").collect()["id"].to_list() == ["a"]


def test_a_source_goes_from_upstream_to_signatures_on_s3(
    endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagster as dg

    from tritter_assets.definitions import build_definitions

    monkeypatch.chdir(tmp_path)
    project = write_project(tmp_path, num_shards=1)
    environment = ENVIRONMENT | {
        "AWS_ENDPOINT_URL": endpoint,
        "TRITTER_LAKE": "s3://tritter-lake/graph",
    }
    settings = load_settings(project, environment)
    job = build_definitions(settings).resolve_job_def("ingest_small_mirror")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, partition_key="000")
    assert result.success
    assert settings.lake().scan("signatures/small_mirror").collect().height == 3


def test_requests_are_added_at_once_and_removed_files_purged(endpoint: str, tmp_path: Path) -> None:
    settings = load_settings(
        write_project(tmp_path),
        ENVIRONMENT | {"AWS_ENDPOINT_URL": endpoint, "TRITTER_LAKE": "s3://tritter-lake/forget"},
    )
    lake = settings.lake()
    gone = small.row("alpha", "ada/engine", "a.py", small.BODY)
    for table in ("raw/alpha", "filtered/alpha"):
        small.write(lake, table, [gone, small.GPL], DOCUMENT_SCHEMA, {"shard": "000"})
    errors: list[BaseException] = []

    def ask(number: int) -> None:
        try:
            request_removal(
                settings.lake(),
                "repo",
                f"ada/{number or 'engine'}",
                "asked",
                "2026-11-24T06:00:00Z",
            )
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    asked = read_removals(lake).filter(kind="repo")["value"]
    assert set(asked) == {"ada/engine", "ada/1", "ada/2", "ada/3"}
    report = PurgeReport()
    purge_rows(lake, report)
    small.write(lake, "filtered/alpha", [small.GPL], DOCUMENT_SCHEMA, {"shard": "000"})
    assert not prove_absence(lake, small.CATALOG).remaining
    purge_files(lake, small.full_catalog(), None, report)
    assert report.num_files == 2
    assert lake.scan("raw/alpha").collect().height == 1
