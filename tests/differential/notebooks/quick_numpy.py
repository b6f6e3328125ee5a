# %% [markdown]
# # Ten cells of arrays

# %%
import numpy as np

rng = np.random.default_rng(42)
data = rng.integers(0, 10, size=(4, 3)).astype(float)
column = data[:, 1]
data

# %%
column -= column.mean()
total = 0.0


def add(rows):
    """Add to the notebook's total."""
    global total
    total += float(rows.sum())
    return total


add(data), data[:, 1] is column, np.shares_memory(column, data)

# %%
names = {"data": data, "first": data[0], "again": data}
names["first"][:] = -1
print(data.sum(), names["again"] is data)

# %%
data[0, 0] = np.nan
clean = np.nan_to_num(data)
clean.sum(axis=0), add(clean)

# %% raises
data @ data

# %%
more = rng.normal(size=3)
data[1] = more
more[0] = 100
data[1].round(4), rng.random()

# %%
del names["data"]
ordered = np.sort(clean, axis=None)[::-1]
sorted(names), ordered[:3], total
