"""The exchange between two processes that share nothing but the wire."""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import ReceivedUnit

OTHER_SIDE = """
import pickle, sys
from kernel_bridge.capture.mirror import Mirror
from kernel_bridge.capture.references import ReferenceTable
from kernel_bridge.capture.units import ReceivedUnit
ns = vars(sys.modules["__main__"])
mirror = Mirror(ns, references=ReferenceTable(session="s"))
units, cell, names = pickle.load(sys.stdin.buffer)
report = mirror.accept([ReceivedUnit(*unit) for unit in units])
assert not report.failures, report.failures
exec(cell, ns)
export = mirror.export(names)
assert not export.refusals, export.refusals
sent = [(unit.names, unit.pickle, [bytes(b) for b in unit.buffers], unit.digests) for unit in export.units]
sys.stdout.buffer.write(pickle.dumps((sent, export.unchanged)))
"""


def test_a_cell_in_another_process(bench: Any) -> None:
    """Functions, classes and instances of the notebook run there, and only what changed comes back, in place."""
    names = bench.local.names
    bench.local.run(
        "class Counter:\n    total = 0\n    def __init__(self): self.log = []\n"
        "    def hit(self):\n        Counter.total += 1\n        self.log.append(note())\n"
        "def note():\n    global n\n    n += 1\n    return n\n"
        "n, c, same = 0, Counter(), [1, 2]\nalias = c.log\n"
    )
    mirror = Mirror(names, references=ReferenceTable())
    kind, instance, log = names["Counter"], names["c"], names["alias"]
    wanted = ["Counter", "note", "n", "c", "same", "alias"]
    export = mirror.export(wanted)
    units = [(unit.names, unit.pickle, [], ()) for unit in export.units]
    request = pickle.dumps((units, "c.hit(); c.hit(); new = Counter()", [*wanted, "new"]))
    done = subprocess.run([sys.executable, "-c", OTHER_SIDE], input=request, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    sent, unchanged = pickle.loads(done.stdout)
    report = mirror.accept([ReceivedUnit(*unit) for unit in sent])
    assert not report.failures
    assert "same" in unchanged
    assert (names["n"], instance.log, kind.total) == (2, [1, 2], 2)
    assert names["c"] is instance and names["alias"] is log is instance.log
    assert type(names["new"]) is kind is names["Counter"]
    instance.hit()
    assert names["n"] == 3
