# %% [markdown]
# # Random walks and a queue at the baker's
# The same seed gives the same morning; each cell goes on where the last one stopped.

# %%
import random
from collections import deque
from statistics import mean, stdev

random.seed(1234)
position = [0, 0]
path = [tuple(position)]


def walk(steps):
    for _ in range(steps):
        axis = random.randrange(2)
        position[axis] += random.choice((-1, 1))
        path.append(tuple(position))
    return tuple(position)


walk(10)

# %%
walk(90), len(path)

# %%
def draw():
    xs, ys = zip(*path)
    rows = []
    for y in range(max(ys), min(ys) - 1, -1):
        rows.append("".join("@" if (x, y) == path[-1] else "o" if (x, y) in visited else "." for x in range(min(xs), max(xs) + 1)))
    return "\n".join(rows)


visited = set(path)
print(draw())


# %%
class Baker:
    """One counter, one queue; time goes in minutes."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.clock = 0
        self.queue = deque()
        self.busy_until = 0
        self.waits = []

    def minute(self):
        self.clock += 1
        if self.random.random() < 0.4:
            self.queue.append(self.clock)
        if self.queue and self.busy_until <= self.clock:
            self.waits.append(self.clock - self.queue.popleft())
            self.busy_until = self.clock + self.random.randint(1, 4)


baker = Baker(5)
for _ in range(60):
    baker.minute()
baker.clock, len(baker.queue), len(baker.waits), round(mean(baker.waits), 2)

# %%
morning = baker
for _ in range(60):
    morning.minute()
baker.clock, len(baker.queue), round(mean(baker.waits), 2), round(stdev(baker.waits), 2)

# %%
def monte_carlo(trials):
    """The chance that two of 23 share a birthday."""
    hits = sum(len({random.randrange(365) for _ in range(23)}) < 23 for _ in range(trials))
    return hits / trials


monte_carlo(500), monte_carlo(500)

# %%
saved = random.getstate()
forecast = [random.gauss(0, 1) for _ in range(3)]
random.setstate(saved)
forecast == [random.gauss(0, 1) for _ in range(3)], random.sample(range(100), 5)

# %%
results = {}
for seed in range(4):
    trial = Baker(seed)
    for _ in range(200):
        trial.minute()
    results[seed] = (len(trial.waits), max(trial.waits))
results

# %%
trial.random is baker.random, trial.random.random(), baker.random.random(), random.random()
