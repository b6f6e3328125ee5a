"""What a cell does to the notebook's names is what it would have done here: one table, one session."""

from __future__ import annotations

import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.state.conftest import shell

__all__ = ["shell"]

pytestmark = pytest.mark.timeout(120)

CASES = [  # run here, run as a `%%gpu` cell, true here afterwards
    ("k=3\ndef f(): return k", "r=f()", "r==3"),
    ("def f(): return g()\ndef g(): return kk\nkk=7", "r=f()", "r==7"),
    ("D={'f':lambda x:x+off}\noff=2", "r=D['f'](1)", "r==3"),
    ("class M:\n  def fit(self): return glob\nglob=9\nm=M()", "r=m.fit()", "r==9"),
    ("from functools import partial,lru_cache\np=partial(pow,2)", "r=p(5)", "r==32"),
    (
        "def mk():\n  c=0\n  def inc():\n    nonlocal c\n    c+=1\n    return c\n  return inc\ninc=mk()",
        "inc();inc()",
        "inc()==3",
    ),
    ("n=0\ndef bump():\n  global n\n  n+=1", "bump();bump()", "n==2"),
    ("a=3", "r=eval('a*3')", "r==9"),
    ("a4=3", "r=globals()['a4']", "r==3"),
    ("l=[1]\nb=l", "l.append(2)", "l==[1,2] and b is l"),
    ("b2=[1];a2=b2", "a2.append(2)", "b2==[1,2] and a2 is b2"),
    ("outer={'i':[1]};inner=outer['i']", "inner.append(5)", "outer['i']==[1,5] and outer['i'] is inner"),
    ("import numpy as np\nx=np.zeros(4)\nv=x[1:]", "v[0]=7", "x[1]==7 and v.base is x"),
    ("import pandas as pd\ndf=pd.DataFrame({'a':[1,2]})\nalias=df", "df['b']=df.a*2", "'b' in alias and alias is df"),
    ("def f2(x,acc=[]):\n  acc.append(x)\n  return acc", "f2(1);f2(2)", "f2(3)==[1,2,3]"),
    ("class P:\n  count=0\n  def __init__(self): P.count+=1", "p1=P();p2=P()", "P.count==2 and isinstance(p1,P)"),
    ("import random\nrandom.seed(1)", "pass", "True"),
    ("gone=1", "del gone", "'gone' not in globals()"),
    ("", "import getpass, os\nwho=getpass.getuser()\nroot=os.getuid()==0", "who and not root"),
    ("sum3=lambda x: 'mine'\nsum=sum3", "r=sum([1])", "r=='mine'"),
    ("del sum\nzz=1", "r=sum([1,2])", "r==3"),
    ("word='hi'", "out=!echo $word {word}", "list(out)==['hi hi']"),
    ("", "%time q=sum(range(10))", "q==45"),
    ("x5=4", "import asyncio\nawait asyncio.sleep(0)\ny5=x5+1", "y5==5"),
    (
        "from dataclasses import dataclass\n@dataclass\nclass Pt:\n  x:int=1\npt=Pt(2)",
        "pt.x+=1\npt2=Pt(5)",
        "pt.x==3 and pt2==Pt(5) and type(pt2) is Pt",
    ),
    ("import collections\nNT=collections.namedtuple('NT','a b')\nnt=NT(1,2)", "nt2=nt._replace(a=5)", "nt2==NT(5,2)"),
    ("import enum\nclass E(enum.Enum):\n  A=1\ne=E.A", "ok=e is E.A", "ok and e is E.A"),
    ("s={1,2}", "s.add(3)", "s=={1,2,3}"),
    ("class S:\n  __slots__=('v',)\ns0=S();s0.v=1\ns1=s0", "s0.v=2", "s1.v==2 and s1 is s0"),
    ("big=list(range(1000))", "t=[i for i in big if i>990]", "len(t)==9"),
    ("", "class C2:\n  y=k\nr2=C2.y", "r2==3"),
    ("data=b'xyz'", "import hashlib\nh=hashlib.sha256(data).hexdigest()", "len(h)==64"),
    ("def gen():\n  yield 1\n  yield 2", "g2=list(gen())", "g2==[1,2]"),
    ("f5=lambda x:x*2", "m5=list(map(f5,[1,2]))", "m5==[2,4]"),
    ("cfg={'lr':.1}", "for _i in range(3): cfg['lr']/=10", "abs(cfg['lr']-.0001)<1e-12"),
    ("", "try:\n  undefined_thing\nexcept NameError as e6:\n  msg=str(e6)", "'undefined_thing' in msg"),
    ("arr=None", "import numpy as np\narr=np.arange(6).reshape(2,3)\nT=arr.T", "T.base is not None and T.shape==(3,2)"),
    (
        "from collections import defaultdict,deque\ndd=defaultdict(list)\ndq=deque([1])",
        "dd['a'].append(1);dq.append(2)",
        "dd=={'a':[1]} and list(dq)==[1,2]",
    ),
    (
        "rng=__import__('numpy').random.default_rng(0)\nrng_copy=__import__('copy').deepcopy(rng)",
        "v9=rng.integers(100)",
        "rng_copy.integers(100)==v9 and rng.integers(100)==rng_copy.integers(100)",
    ),
    ("x10=10", "x10+=1\nprint(x10)\nx10", "x10==11 and _==11"),
    ("__k5 = 5", "g = {}\nexec('z = __k5 + 1', globals(), g)", "g['z'] == 6"),
    ("k6 = 6", "import sys\nz6 = sys.modules['__main__'].k6", "z6 == 6"),
    (
        "k7 = 7",
        "import threading\nseen = []\n"
        "ts = [threading.Thread(target=lambda: seen.append(eval('k7'))) for _ in range(8)]\n"
        "[t.start() for t in ts]\n[t.join() for t in ts]\ndel ts",
        "seen == [7] * 8",
    ),
    (
        "k8 = 9",
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor(4) as pool:\n"
        "  r = list(pool.map(lambda i: i + k8, range(4)))\ndel pool",
        "r == [9, 10, 11, 12]",
    ),
    (
        "class Late:\n  def __setstate__(self, s):\n    self.seen = eval('helper_val')\n"
        "helper_val = 42\nlate = Late(); late.x = 1",
        "q = late.seen",
        "q == 42",
    ),
    ("hv = 3", "class C3:\n  val = eval('hv')\n  inner = [hv for _ in range(2)]\nr3 = C3.inner", "r3 == [3, 3]"),
    ("", "opened = open('opened.txt', 'w'); opened.write('a')", "True"),
    ("", "opened.write('b'); opened.close(); t = open('opened.txt').read()", "t == 'ab'"),
    ("", "list = [1]\nlist.append(2)", "list == [1, 2]"),
    ("", "del list\nll = list('ab')", "ll == ['a', 'b']"),
    ("__import__('pathlib').Path('script.py').write_text('sv = 11\\n')", "%run script.py", "sv == 11"),
    ("kq = 4", "def ff(): return kq\n%run script.py\nq4 = ff()", "q4 == 4"),
    (
        "__import__('pathlib').Path('localmod.py').write_text('V = 1\\ndef f(): return V\\n')\nimport localmod",
        "r = localmod.f()",
        "r == 1",
    ),
    (
        "__import__('pathlib').Path('localmod.py').write_text('V = 2\\ndef f(): return V\\n')",
        "import localmod\nr = localmod.f()",
        "r == 2",
    ),
    ("", "selfish = []; selfish.append(selfish)", "selfish[0] is selfish"),
    ("", "it = iter([1, 2, 3]); first = next(it)", "next(it) == 2"),
]


@pytest.mark.parametrize(("setup", "cell", "check"), CASES, ids=[cell[:32] for _, cell, _ in CASES])
def test_it_is_as_if_the_cell_ran_here(shell: InteractiveShell, setup: str, cell: str, check: str) -> None:
    """Values, aliases, functions and deletions are what a local cell would have left."""
    assert shell.run_cell(setup).success
    assert shell.run_cell(f"%%gpu A100\n{cell}").success
    assert eval(check, shell.user_ns)
