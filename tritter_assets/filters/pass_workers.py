"""Worker processes of the pass: pieces of one shard judged on several cores.

Threads would not do: the detectors of stages 10 and 11 hold Python's lock. A worker is a plain
subprocess that reads pickled pieces on its standard input and answers on its standard output, so it
starts no copy of the caller's program and ends with it. It takes seconds of CPU to start (numba,
presidio, benchmarks), which is why small shards are judged in place (`workers_for`).
"""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import IO

import polars as pl

from tritter_assets.errors import WorkerLost
from tritter_assets.filters.pieces import JudgedPiece, PassInputs, judge_piece

BYTES_PER_WORKER = 96 << 20
"""Content below which another worker would not pay for its start."""

_UNUSED = ("torch", "transformers")
"""Presidio imports spaCy, and that both of these where they are installed: 4.2 of the 5.2 s of CPU
that the import takes. No stage of the pass uses them, and a worker does nothing else."""

_LENGTH = struct.Struct("<Q")
_ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "GOMAXPROCS": "1"}


def workers_for(content_bytes: int, allowed: int) -> int:
    """Returns how many processes a shard is worth; 1 means in place."""
    return max(1, min(allowed, content_bytes // BYTES_PER_WORKER))


def judge_pieces(
    pieces: Iterable[pl.DataFrame], inputs: PassInputs, workers: int
) -> Iterator[JudgedPiece]:
    """Judges pieces and yields the results in their order.

    Args:
        pieces: Taken one at a time; at most `workers` + 1 are in memory.
        inputs: What the pieces are judged with.
        workers: 1 judges in this process.

    Raises:
        WorkerLost: a worker ended before it answered, e.g. killed for memory.
    """
    if workers <= 1:
        context = inputs.context()
        for piece in pieces:
            yield judge_piece(piece, context, inputs.source, inputs.shard)
        return
    processes = [_start(inputs) for _ in range(workers)]
    idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
    for process in processes:
        idle.put(process)

    def ask(piece: pl.DataFrame) -> JudgedPiece:
        process = idle.get()
        try:
            return _ask(process, piece, inputs)
        finally:
            idle.put(process)

    pending: deque[Future[JudgedPiece]] = deque()
    threads = ThreadPoolExecutor(workers, thread_name_prefix="judge")
    try:
        for piece in pieces:
            pending.append(threads.submit(ask, piece))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for process in processes:
            process.kill()
        threads.shutdown(cancel_futures=True)
        for process in processes:
            _end(process)


def _start(inputs: PassInputs) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tritter_assets.filters.pass_workers"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **_ONE_THREAD},
    )
    assert process.stdin is not None
    _send(process.stdin, inputs)
    return process


def _ask(process: subprocess.Popen[bytes], piece: pl.DataFrame, inputs: PassInputs) -> JudgedPiece:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        _send(process.stdin, piece)
        answer = _receive(process.stdout)
    except (EOFError, OSError):
        code = process.wait()
        raise WorkerLost(
            f"verdicts/{inputs.source} shard {inputs.shard}: worker {process.pid} ended with "
            f"code {code} before it answered (-9 is mostly lack of memory); nothing of the shard "
            "was stored. Materialise it again, with fewer `workers` in the profile where memory is "
            "short"
        ) from None
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, JudgedPiece)
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was not yet sent is not wanted any more


def _send(pipe: IO[bytes], message: object) -> None:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(data)))
    pipe.write(data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> object:
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (size,) = _LENGTH.unpack(head)
    data = pipe.read(size)
    if len(data) < size:
        raise EOFError
    return pickle.loads(data)


def _work() -> None:
    """Answers pieces until the caller closes the pipe."""
    sys.modules.update(dict.fromkeys(_UNUSED))  # type: ignore[arg-type]
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inputs = _receive(sys.stdin.buffer)
    assert isinstance(inputs, PassInputs)
    context = None
    while True:
        try:
            piece = _receive(sys.stdin.buffer)
        except EOFError:
            return
        assert isinstance(piece, pl.DataFrame)
        try:
            context = context or inputs.context()
            _send(answers, judge_piece(piece, context, inputs.source, inputs.shard))
        except Exception as error:
            _send(answers, error)


if __name__ == "__main__":
    # Unpickled classes must be those of the imported module, not of `__main__`.
    from tritter_assets.filters.pass_workers import _work as work

    work()
