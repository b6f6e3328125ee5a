# %% [markdown]
# # The game of life
# The board lives on from cell to cell; two names look at it.

# %%
import numpy as np
from IPython.display import clear_output

board = np.zeros((8, 12), dtype=np.uint8)
glider = np.array([[0, 1, 0], [0, 0, 1], [1, 1, 1]], dtype=np.uint8)
board[:3, :3] = glider
corner = board[:4, :4]
generation = 0


def show(cells=board):
    print("\n".join("".join("█" if cell else "·" for cell in row) for row in cells))


show()


# %%
def step(cells):
    """One generation, in place."""
    global generation
    neighbours = np.zeros(cells.shape, dtype=np.uint8)
    for shift in [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if r or c]:
        neighbours += np.roll(cells, shift, axis=(0, 1))
    cells[:] = (neighbours == 3) | ((cells == 1) & (neighbours == 2))
    generation += 1


step(board)
corner, generation

# %%
for _ in range(4):
    step(board)
    clear_output(wait=True)
    print("generation", generation)
    show()

# %%
corner[:] = 0
corner[1, 1:4] = 1
board.sum(), show(corner)

# %%
history = []
while not any(np.array_equal(board, old) for old in history) and generation < 60:
    history.append(board.copy())
    step(board)
generation, len(history), int(board.sum())

# %%
stack = np.stack(history)
alive = stack.sum(axis=(1, 2))
alive[:6], stack.shape, stack.dtype

# %%
%matplotlib inline
import matplotlib.pyplot as plt

plt.figure(figsize=(3, 1.5))
plt.imshow(stack.sum(axis=0))
plt.axis("off")
plt.show()


# %%
class Wrapped(np.ndarray):
    """An array that counts how often it was written through its items."""

    writes = 0

    def __setitem__(self, key, value):
        Wrapped.writes += 1
        super().__setitem__(key, value)


wrapped = board.view(Wrapped)
wrapped[0, 0] = 1
board[0, 0], Wrapped.writes, type(wrapped[1]).__name__

# %%
wrapped[-1] = 1
step(wrapped)
Wrapped.writes, np.shares_memory(wrapped, board), int(board.sum())

# %%
board = board[::2]  # the name moves to a view of the old board; `show` kept the whole
board[:] = 0
show()
