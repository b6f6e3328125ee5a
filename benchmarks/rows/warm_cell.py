"""The cell is `x = 1`, sent until its reply is here, in blocks of 60 that take turns. *Through the control plane*:
channel, control plane, agent, kernel child and back. *Whole `%%gpu` cell*: the magic in a running notebook kernel,
with analysis, comparison of values, the way above and write-back. *Echo*: one byte each way through a local socket
between two threads.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.harness.contest import Contestant, Effort, contest
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.peers import ipyparallel
from benchmarks.peers.ipykernel import local_kernel
from benchmarks.subject.cells import notebook, remote_cells
from benchmarks.subject.runtime import notebook_spec, plain_image, runtime

LOCAL, RELAY, MAGIC = "local ipykernel", "through the control plane", "whole `%%gpu` cell"
PX, ECHO = "ipyparallel `%%px`", "echo"
CODE = "x = 1"


def measure(effort: Effort) -> Measured:
    """Measure."""
    with runtime() as plane, local_kernel() as local, ipyparallel.engine() as view, notebook() as book, echo() as ping:
        view.activate()
        book.gpu(CODE)
        with remote_cells(plane, notebook_spec(plain_image())) as remote:
            contestants = [
                Contestant(LOCAL, lambda: local.run(CODE), rest=local.drain),
                Contestant(RELAY, lambda: remote.run(CODE)),
                Contestant(MAGIC, lambda: book.gpu(CODE)),
                Contestant(PX, lambda: book.shell.run_cell_magic("px", "--block", CODE)),
                Contestant(ECHO, ping),
            ]
            return Measured(contest(contestants, runs=effort.times(600, 60), batch=60, warm_up=30, limit_s=60))


@contextmanager
def echo() -> Iterator[Callable[[], None]]:
    """Yield what sends a byte to a thread and gets it back."""
    near, far = socket.socketpair()

    def serve() -> None:
        while data := far.recv(1):
            far.sendall(data)

    def ping() -> None:
        near.sendall(b"x")
        near.recv(1)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield ping
    finally:
        near.close()
        thread.join()
        far.close()


COST = "by samples of the stack, 1.2 of 1.6 ms pass in the kernel child, half of that in ipykernel's `do_execute`"
ROW = Row(
    title="A warm one-line cell",
    measure=measure,
    reference=LOCAL,
    ours=(RELAY, MAGIC),
    limits=(ECHO,),
    promises=(
        Promise(what="warm cell through the control plane", contestant=RELAY, limit=0.4, of=LOCAL, why=COST),
        Promise(what="warm cell through the control plane", contestant=RELAY, limit=1.5, why=COST),
        Promise(what="warm cell through the control plane", contestant=RELAY, limit=3.0, p99=True, why=COST),
        Promise(what="whole `%%gpu` cell, inside the magic", contestant=MAGIC, limit=0.6, of=LOCAL, why=COST),
    ),
)
