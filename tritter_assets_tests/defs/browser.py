"""What the browser test needs: a Dagster server of a small project, and a page to read it with."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tritter_assets_tests.defs.project import environment

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

CHROMIUM = shutil.which("chromium")
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_START_SECONDS = 90
_STOP_SECONDS = 20
_PAGE_MILLISECONDS = 30_000

T = TypeVar("T")


@dataclass(kw_only=True)
class Tab:
    """One browser tab on one server, with everything it asked for that it should not have."""

    page: Page
    base: str
    strangers: list[str] = field(default_factory=list)
    """Requests that left this machine."""
    errors: list[str] = field(default_factory=list)
    """Exceptions nobody caught in the page."""

    def shoot(self, file: Path) -> None:
        """Saves what is on the screen once nothing moves any more."""
        self.page.wait_for_timeout(700)
        self.page.screenshot(path=file)

    def note(self, request: Request) -> None:
        """Remembers a request that does not go to the server."""
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.strangers.append(request.url)


def wait_for(ask: Callable[[], T | None], *, seconds: float, what: str) -> T:
    """Asks until there is an answer; the message says what never came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(0.5)
    raise TimeoutError(f"{what} did not happen within {seconds:.0f} s")


@contextlib.contextmanager
def dagster_dev(folder: Path) -> Iterator[str]:
    """Runs `dagster dev` in the project's folder and yields its address; nothing outlives it."""
    port = _free_port()
    base = f"http://127.0.0.1:{port}"
    log = folder / "dagster_dev.log"
    # As `make dev` does; without it Dagster keeps "the welcome was seen" in the user's home.
    variables = environment(folder) | {"DAGSTER_HOME": str(folder)}
    command = [str(Path(sys.executable).with_name("dagster")), "dev", "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            wait_for(lambda: _answers(base, process, log), seconds=_START_SECONDS, what="HTTP 200")
            yield base
        finally:
            _stop(process)


@contextlib.contextmanager
def open_tab(base: str) -> Iterator[Tab]:
    """Opens a headless browser at a desktop's size."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 1000})
            page.set_default_timeout(_PAGE_MILLISECONDS)
            tab = Tab(page=page, base=base)
            page.on("request", tab.note)
            page.on("pageerror", lambda error: tab.errors.append(str(error)))
            yield tab
        finally:
            browser.close()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _answers(base: str, process: subprocess.Popen[bytes], log: Path) -> bool | None:
    if process.poll() is not None:
        raise RuntimeError(f"dagster dev ended with {process.returncode}:\n{log.read_text()}")
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(base, timeout=5) as response:
            return True if response.status == 200 else None
    except (urllib.error.URLError, OSError):
        return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends the whole process group: politely, then for certain."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_STOP_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
