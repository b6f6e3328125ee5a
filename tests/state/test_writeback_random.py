"""State back, random numbers: one sequence, whichever side draws; generator objects stay the objects they are."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.table import Case, failures_here, run_remotely

pytestmark = pytest.mark.timeout(120)

_RANDOM = (
    "import random\nrandom.seed(1)\nall_here = [random.random() for _ in range(6)]\nrandom.seed(1)\na = random.random()"
)
_NUMPY = (
    "import numpy as np\nnp.random.seed(1)\nall_here = np.random.rand(6).tolist()\nnp.random.seed(1)\n"
    "a = np.random.rand()"
)

CASES = [
    Case(
        id="W6 random",
        here=_RANDOM,
        there="b = random.random()\nc = random.random()",
        after="[a, b, c, random.random(), random.random(), random.random()] == all_here",
    ),
    Case(
        id="W6 random, in a function",
        here=_RANDOM + "\ndef draw(): return random.random()",
        there="b = draw()",
        after="[a, b, draw()] == all_here[:3]",
    ),
    Case(
        id="W6 random, seeded there",
        there="import random\nrandom.seed(7)\nb = random.random()",
        after="c = random.random()\nrandom.seed(7)\nassert [b, c] == [random.random(), random.random()]",
    ),
    Case(
        id="W6 random, gauss draws in pairs",
        here="import random\nrandom.seed(3)\nall_here = [random.gauss(0, 1) for _ in range(3)]\nrandom.seed(3)\n"
        "a = random.gauss(0, 1)",
        there="b = random.gauss(0, 1)",
        after="[a, b, random.gauss(0, 1)] == all_here",
    ),
    Case(
        id="W6 random, a name imported from it",
        here=_RANDOM + "\nfrom random import random as draw1",
        there="b = draw1()",
        after="[a, b, random.random(), draw1()] == all_here[:4] and draw1.__self__ is random._inst",
    ),
    Case(
        id="W6 random, drawn by a library there",
        here="import random, statistics\nrandom.seed(5)\nd = statistics.NormalDist()\nx = d.samples(2)\nrandom.seed(5)",
        there="import random\ny = d.samples(2)",
        after="x == y",
    ),
    Case(
        id="W6 random, nothing drawn",
        here="import random\nrandom.seed(9)\nwas = random.getstate()",
        there="import random\nr = 1",
        after="random.getstate() == was",
    ),
    Case(
        id="W6 numpy's global generator",
        here=_NUMPY,
        there="b, c = np.random.rand(2).tolist()",
        after="[a, b, c, *np.random.rand(3).tolist()] == all_here",
    ),
    Case(
        id="W6 numpy's, seeded there",
        there="import numpy as np\nnp.random.seed(7)\nb = np.random.rand()",
        after="c = np.random.rand()\nnp.random.seed(7)\nassert [b, c] == [np.random.rand(), np.random.rand()]",
    ),
    Case(
        id="W6 numpy's, normal draws in pairs",
        here="import numpy as np\nnp.random.seed(3)\nall_here = [np.random.randn() for _ in range(3)]\n"
        "np.random.seed(3)\na = np.random.randn()",
        there="b = np.random.randn()",
        after="[a, b, np.random.randn()] == all_here",
    ),
    Case(
        id="W6 numpy's, a name imported from it",
        here=_NUMPY + "\nfrom numpy.random import rand",
        there="b = rand()",
        after="[a, b, np.random.rand(), rand()] == all_here[:4] and rand.__self__ is np.random.mtrand._rand",
    ),
    Case(
        id="W6 numpy's, shuffled in place",
        here="import numpy as np\nnp.random.seed(2)\nx = np.arange(9)\ny = x.copy()\nnp.random.shuffle(y)\n"
        "np.random.seed(2)",
        there="np.random.shuffle(x)",
        after="x.tolist() == y.tolist()",
    ),
    Case(
        id="W6 pandas draws from numpy's",
        here="import numpy as np, pandas as pd\ndf = pd.DataFrame({'a': range(9)})\nnp.random.seed(2)\n"
        "x = df.sample(3).a.tolist()\nnp.random.seed(2)",
        there="y = df.sample(3).a.tolist()",
        after="x == y",
    ),
    Case(
        id="W6 a generator object",
        here="import numpy as np\nrng = np.random.default_rng(0)\n"
        "all_here = np.random.default_rng(0).random(4).tolist()\nheld = {'r': rng}\nwas = id(rng)\na = rng.random()",
        there="b = rng.random()",
        after="[a, b, rng.random(), held['r'].random()] == all_here and id(rng) == was and held['r'] is rng",
    ),
    Case(
        id="W6 a generator object inside another",
        here="import numpy as np\nclass Sim:\n  def __init__(self): self.rng = np.random.default_rng(0)\n"
        "  def step(self): return self.rng.random()\nsim = Sim()\nrng = sim.rng\n"
        "all_here = np.random.default_rng(0).random(2).tolist()",
        there="a = sim.step()",
        after="[a, sim.step()] == all_here and sim.rng is rng",
    ),
    Case(
        id="W6 a generator that spawned",
        here="import numpy as np\nrng = np.random.default_rng(0)\nother = np.random.default_rng(0)",
        there="kids = rng.spawn(2)",
        after="other.spawn(2)[1].random() == kids[1].random() "
        "and other.spawn(1)[0].random() == rng.spawn(1)[0].random()",
    ),
    Case(
        id="W6 another algorithm",
        here="import numpy as np\nrng = np.random.Generator(np.random.Philox(3))\n"
        "all_here = np.random.Generator(np.random.Philox(3)).random(2).tolist()\nwas = id(rng)",
        there="a = rng.random()",
        after="[a, rng.random()] == all_here and id(rng) == was",
    ),
    Case(
        id="W6 a RandomState",
        here="import numpy as np\nrs = np.random.RandomState(0)\n"
        "all_here = np.random.RandomState(0).rand(2).tolist()\nwas = id(rs)",
        there="a = rs.rand()",
        after="[a, rs.rand()] == all_here and id(rs) == was",
    ),
    Case(
        id="W6 a Random",
        here="import random\nr1 = random.Random(4)\nr2 = r1\nall_here = [random.Random(4).random()]",
        there="a = r1.random()",
        after="[a] == all_here and r1 is r2 and r2.random() != a",
    ),
    Case(
        id="W6 the sequence goes on over two cells",
        here="import random\nrandom.seed(1)\nall_here = [random.random() for _ in range(2)]\nrandom.seed(1)",
        there="a = random.random()",
        after="a == all_here[0]",
    ),
    Case(id="W6 and is not started again", there="b = random.random()", after="b == all_here[1]"),
]


def test_the_rows_are_true_of_a_local_cell() -> None:
    """A table asks nothing that plain IPython does not do."""
    assert failures_here(CASES) == {}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, case: Case) -> None:
    """What is true after a local cell is true after a remote one."""
    run_remotely(shell, case)
