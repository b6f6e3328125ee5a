"""A large array travels without a second copy of it: peak memory on each side, by each way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Final

import pytest

from kernel_bridge.config import ClientConfig

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks are read from /proc"),
]

_COUNT: Final = 32_000_000  # float64: 256 MB
_SIZE: Final = 8 * _COUNT
_MOST: Final = 1.2 * _SIZE

# A process of its own, because peaks are a process's.
_NOTEBOOK: Final = r'''
import json, sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell
from jupyter_ext import notebook
from kernel_bridge.client import buffers

if sys.argv[1]:
    buffers._BOOT_ID = Path(sys.argv[1])  # a notebook on another host

HELD = """
def held(what):
    lines = open('/proc/self/status').read().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what + ':'))
"""
exec(HELD)

def grown(cell):
    Path('/proc/self/clear_refs').write_text('5')  # the peak starts anew
    before = held('VmRSS')
    result = shell.run_cell(cell)
    assert result.success, result.error_in_exec
    return held('VmHWM') - before

shell = InteractiveShell()
shell.run_line_magic('load_ext', 'cellburst')
shell.run_cell('%gpu_config simulate=A100:1')
shell.run_cell(HELD)
shell.run_cell('import numpy as np; big = np.random.default_rng(1).random({count})')
grown('%%gpu A100\nimport numpy as np\nbefore = held("VmRSS")')
found = {'out, here': grown('%%gpu A100\ntotal = float(big.sum())\npeak = held("VmHWM")')}
found['out, there'] = shell.user_ns['peak'] - shell.user_ns['before']
grown('%%gpu A100 --leave back\nback = big + 1\nbefore = held("VmRSS")')
found['home, here'] = grown('copy = back.fetch()')
grown('%%gpu A100\npeak = held("VmHWM")')
found['home, there'] = shell.user_ns['peak'] - shell.user_ns['before']
assert shell.user_ns['copy'][7] == shell.user_ns['big'][7] + 1
print('\n\x1e' + json.dumps(found))
shell.run_line_magic('unload_ext', 'cellburst')
'''


@pytest.mark.parametrize("shared", [True, False], ids=["shared memory", "HTTP"])
def test_no_second_copy_is_made(config: ClientConfig, tmp_path: Path, shared: bool) -> None:
    """D6: over what it held before, neither side needs more than 1.2 times the array, there and back."""
    del config
    other = tmp_path / "boot_id"
    other.write_text(str(uuid.uuid4()))
    found = _run("" if shared else str(other))
    assert found["out, here"] < 0.2 * _SIZE, found  # it is here already
    assert found["out, there"] < _MOST, found
    assert found["home, here"] < _MOST, found
    assert found["home, there"] < 0.2 * _SIZE, found


def _run(boot_id: str) -> dict[str, Any]:
    command = [sys.executable, "-c", _NOTEBOOK.replace("{count}", str(_COUNT)), boot_id]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.rpartition("\n\x1e")[2].splitlines()[0])
    return found
