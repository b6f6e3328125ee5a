"""From wanting a kernel until its first cell, `import numpy`, has been answered. *New session*: a session that never
was, in an image used before on this host: opened, placed, forked from the zygote, connected. *Runtime and zygote
too*: no runtime ran before, so it, the zygote and numpy start first. *Local ipykernel*: started by jupyter_client,
without any sandbox. Ends are not timed. The limits: `fork` of this process, and an interpreter that does nothing.
"""

from __future__ import annotations

from benchmarks.harness.contest import Contestant, Effort, contest, take
from benchmarks.harness.row import Measured, Row
from benchmarks.harness.verdicts import Promise
from benchmarks.peers import ipykernel, limits
from benchmarks.subject.cells import Remote, close_remote, open_remote
from benchmarks.subject.runtime import notebook_spec, plain_image, runtime, stop_runtime
from kernel_bridge.client.embedded import ensure_runtime
from kernel_bridge.client.http import ControlPlane
from kernel_bridge.config import ClientConfig

LOCAL, OURS, COLD = "local ipykernel", "new session", "runtime and zygote too"
FORK, PYTHON = "fork", "bare interpreter"
CODE = "import numpy"


def measure(effort: Effort) -> Measured:
    """Measure."""
    image = plain_image("numpy")
    with runtime() as plane:
        info = plane.runtime()
        opened: list[Remote] = []
        kernels: list[ipykernel.LocalKernel] = []

        def ours() -> None:
            opened.append(open_remote(plane, notebook_spec(image)))
            opened[-1].run(CODE)

        def local() -> None:
            kernels.append(ipykernel.start())
            kernels[-1].run(CODE)

        def end() -> None:
            while opened:
                close_remote(plane, opened.pop())
            while kernels:
                kernels.pop().stop()

        contestants = [
            Contestant(LOCAL, local, rest=end),
            Contestant(OURS, ours, rest=end),
            Contestant(FORK, limits.fork),
            Contestant(PYTHON, limits.bare_python),
        ]
        times = contest(contestants, runs=effort.times(30), limit_s=60)
    times[COLD] = [cold() for _ in range(effort.times(5))]
    return Measured(times, (f"isolation of the session: {info.isolation}",))


def cold() -> float:
    """Return the seconds from no runtime at all to the first cell's reply."""
    planes: list[ControlPlane] = []
    remotes: list[Remote] = []

    def run() -> None:
        planes.append(ControlPlane(ensure_runtime(ClientConfig.load())))
        remotes.append(open_remote(planes[0], notebook_spec(plain_image("numpy"))))
        remotes[0].run(CODE)

    took_s = take(run)
    close_remote(planes[0], remotes[0])
    planes[0].close()
    stop_runtime()
    return took_s


ROW = Row(
    title="A new kernel",
    measure=measure,
    reference=LOCAL,
    ours=(OURS, COLD),
    limits=(FORK, PYTHON),
    promises=(
        Promise(
            what="new kernel from the zygote, numpy imported, first cell done",
            contestant=OURS,
            limit=30.0,
            why="by a timeline, half passes in forks and walls, a sixth in rows written before them",
        ),
        Promise(
            what="truly cold: nothing of ours runs",
            contestant=COLD,
            limit=600.0,
        ),
    ),
)
