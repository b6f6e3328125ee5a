# %% [markdown]
# # Randomness you can repeat
# Every stream of random numbers is an object with a position. Moving from cell to cell must not rewind it.

# %%
import random

import numpy as np

random.seed(7)
np.random.seed(7)
rng = np.random.default_rng(7)
child_a, child_b = rng.spawn(2)
print(random.random(), round(np.random.rand(), 6), round(rng.random(), 6))

# %%
same = rng
first = [int(n) for n in rng.integers(0, 100, 5)]
second = [int(n) for n in same.integers(0, 100, 5)]
first, second, first == second

# %%
checkpoint = rng.bit_generator.state
ahead = rng.normal(size=3)
rng.bit_generator.state = checkpoint
assert np.array_equal(ahead, rng.normal(size=3))
print(ahead.round(4))

# %%
python_state = random.getstate()
deck = list(range(10))
random.shuffle(deck)
deck

# %%
random.setstate(python_state)
replay = list(range(10))
random.shuffle(replay)
replay == deck, random.choice(deck), random.gauss(0, 1)

# %% [markdown]
# The legacy global generator lives in the module, not in a variable of ours.

# %%
np.random.normal(size=2).round(4)

# %%
np.random.normal(size=2).round(4)


# %%
class Dice:
    """Dice with a generator of their own."""

    def __init__(self, seed, sides=6):
        self.random = random.Random(seed)
        self.sides = sides
        self.thrown = 0

    def throw(self, count=1):
        self.thrown += count
        return [self.random.randint(1, self.sides) for _ in range(count)]


dice = Dice(99)
shared = {"table": dice, "loaded": Dice(99, sides=3)}
dice.throw(5), shared["loaded"].throw(5)

# %%
print(shared["table"].throw(3), dice.thrown)
print(child_a.permutation(6), child_b.permutation(6))


# %%
def estimate_pi(points):
    xy = rng.random((points, 2))
    return 4 * float((np.hypot(*xy.T) < 1).mean())


estimates = [estimate_pi(n) for n in (100, 1_000, 10_000)]
estimates

# %%
sample = rng.choice(["spades", "hearts", "clubs", "diamonds"], size=8, p=[0.4, 0.3, 0.2, 0.1])
values, counts = np.unique(sample, return_counts=True)
dict(zip(values.tolist(), counts.tolist()))

# %%
random.random(), float(np.random.rand()), float(rng.random()), dice.throw(2)
