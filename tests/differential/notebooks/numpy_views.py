# %% [markdown]
# # Views, copies and who owns the memory
# The most common surprise in a first week of NumPy: a slice is a window, not a photograph.

# %%
import numpy as np

np.set_printoptions(precision=3, suppress=True)
board = np.arange(64, dtype=np.float64).reshape(8, 8)
board

# %% [markdown]
# Three ways to look at the same sixteen numbers.

# %%
centre = board[2:6, 2:6]
diagonal = board.reshape(-1)[::9]
frozen = board[2:6, 2:6].copy()
columns = board.T
print(centre.base is board.base, frozen.base is None)
print("shares memory:", np.shares_memory(centre, board), np.shares_memory(frozen, board))

# %%
centre[:] = 0
diagonal[0] = -1
board[0], diagonal

# %%
print(frozen.sum(), centre.sum(), columns[:, 3])
assert columns[2, 3] == 0 == board[3, 2]

# %% [markdown]
# Fancy indexing copies on the right-hand side but writes through on the left.

# %%
picked = board[[0, 7]]
picked += 1000
board[[0, 7]] += 0.5
board[0, :4], picked[0, :4]


# %%
def scale(rows, factor):
    """Multiply in place, as many library functions do."""
    rows *= factor
    return rows


again = scale(board[6:], 2)
again is board[6:], np.shares_memory(again, board), board[7, 7]

# %%
windows = {"top": board[:4], "bottom": board[4:], "all": board}
windows["top"][1] = 11
windows["bottom"] = windows["bottom"] * 1  # a new array now
windows["bottom"][:] = 99
board.sum(axis=1)

# %%
swapped = board.astype(">f4")
flags = {name: (array.flags["C_CONTIGUOUS"], array.flags["OWNDATA"]) for name, array in
         [("columns", columns), ("centre", centre), ("swapped", swapped)]}
flags

# %%
board.flags.writeable = False
try:
    board[0, 0] = 5
except ValueError as problem:
    print("ValueError:", problem)
centre[0, 0] = 3.25  # made before the flag fell, so it still writes
board[2, 2]

# %%
zeros = np.broadcast_to(np.float32(7), (3, 4))
stacked = np.vstack([zeros, zeros])
stacked[0, 0] = 1
print(zeros.strides, stacked.strides)
stacked
