# %% [markdown]
# # Magics
# The commands of IPython that change how a line or a cell is run.

# %%
%matplotlib inline
values = list(range(1000))
%time total = sum(values)
total

# %%
%%time
squares = [value**2 for value in values]
label = "timed"
len(squares)

# %%
label, squares[-1]

# %%
%%capture output
print("into the drawer")
squares.append("captured")
import sys

print("and this", file=sys.stderr)
99

# %%
output.stdout, output.stderr, squares[-1]

# %%
output.show()

# %%
timing = %timeit -n 1 -r 1 -q -o sum(values)
counts = timing.loops, timing.repeat
del timing
counts

# %%
%precision 3
[0.123456, 1 / 3], 2 / 3

# %%
%precision
3.14159265

# %%
width = 7
where = %pwd
files = %sx echo {width}
files[0], isinstance(where, str)

# %%
%%capture --no-stderr quiet
for number in range(3):
    print(number)

# %%
lines = quiet.stdout.split()
%who_ls str

# %%
%%python
print("another process;", 6 * 7)

# %%
%%html
<b>bold</b> and <i>italic</i>

# %%
%alias_magic t time
%t double = width * 2
double

# %%
%xmode Minimal

# %% raises
{}["no such key"]

# %%
%xmode Context

# %% raises
width / (width - 7)

# %%
from IPython import get_ipython

shell = get_ipython()
shell.run_line_magic("time", "tripled = width * 3")
answer = shell.run_cell_magic("capture", "inner", "print('inside')\nwidth += 1")
del shell
tripled, inner.stdout, width
