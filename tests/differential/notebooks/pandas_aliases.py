# %% [markdown]
# # One frame, many names
# What an assignment copies, and what it does not.

# %%
import numpy as np
import pandas as pd

frame = pd.DataFrame({"a": [1, 2, 3], "b": [4.0, 5.0, 6.0], "c": list("xyz")})
alias = frame
shallow = frame.copy(deep=False)
column = frame["a"]
bundle = {"frame": frame, "rows": [frame, shallow], "column": column}
alias is frame, bundle["rows"][0] is frame

# %%
alias.loc[0, "a"] = 100
frame["d"] = frame["b"] * 2
print(list(alias), list(shallow))
column.iloc[0], shallow.loc[0, "a"], bundle["frame"].loc[0, "a"]

# %%
column.iloc[1] = -7
frame["a"].tolist(), column.tolist(), bundle["column"].tolist()

# %%
bundle["rows"][0].loc[len(frame)] = [7, 7.5, "w", 15.0]
frame

# %%
values = np.zeros((3, 2))
wrapped = pd.DataFrame(values, columns=["p", "q"], copy=False)
values[0, 0] = 9
wrapped.loc[1, "q"] = 3
values.tolist(), wrapped


# %%
def add_total(table=frame):
    """A default argument is evaluated once: it is the frame of the time."""
    table["total"] = table[["a", "b"]].sum(axis=1)
    return table


result = add_total()
result is frame, "total" in alias

# %%
index = frame.index
frame = frame.set_index("c")  # a new frame; the alias stays behind
add_total().shape, frame.index.tolist(), alias.index is index

# %%
class Report:
    """Keeps a frame and what was done to it."""

    def __init__(self, table):
        self.table = table
        self.log = []

    def drop(self, name):
        self.table.drop(columns=name, inplace=True)
        self.log.append(f"dropped {name}")
        return self

    def _repr_html_(self):
        return f"<b>{len(self.table)} rows</b><br>" + "<br>".join(self.log)


report = Report(frame)
report.drop("total")

# %%
report.drop("d").log, list(frame), list(alias)

# %%
levels = pd.MultiIndex.from_product([["x", "y"], [1, 2]], names=["letter", "number"])
grid = pd.Series(range(4), index=levels)
grid["x", 2] = 50
view = grid.xs("x")
grid.unstack(), view.to_dict()

# %%
frames = [frame, frame, alias]
frames[0].iloc[0, 0] = -1
frames[1].iloc[0, 0], frames[2].iloc[0, 0], frames[0] is frames[1]
