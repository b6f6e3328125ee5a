# %% [markdown]
# # Errors by the way

# %%
from pathlib import Path
n = Path("bad_script.py").write_text("print('in bad')\n1/0\n")

# %%
%run bad_script.py
print("after")

# %%
done = get_ipython().run_cell("1/0")
print("after", done.error_in_exec)

# %%
class Broken:
    def _repr_html_(self):
        raise KeyError("html")

    def __repr__(self):
        return "but this works"

broken = Broken()
display(broken)
print("and on")

# %%
get_ipython().run_cell("if: 3").success

# %%
try:
    1 / 0
except ZeroDivisionError:
    get_ipython().showtraceback()
print("over")
