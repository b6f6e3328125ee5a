# %% [markdown]
# # Generators: lazy pipelines, stopped half-way

# %%
import itertools

log = []


def numbers(stop):
    """Count, and say so in the notebook's log."""
    for number in range(stop):
        log.append(number)
        yield number


squares = [number**2 for number in numbers(4)]
squares, log

# %% [markdown]
# A generator that is part-way cannot be copied; what it has produced can.

# %% group=half keeps=stream
stream = numbers(10)
head = [next(stream), next(stream)]
head, len(log)

# %% group=half keeps=stream
more = list(itertools.islice(stream, 3))
more, log[-1]

# %% group=half keeps=stream
rest = list(stream)
del stream
rest, log


# %%
def running_mean():
    """A coroutine of the old kind: it takes values and answers with their mean."""
    total, count, answer = 0.0, 0, None
    while True:
        value = yield answer
        if value is None:
            return total
        total, count = total + value, count + 1
        answer = total / count


def feed(values):
    mean = running_mean()
    next(mean)
    answers = [mean.send(value) for value in values]
    try:
        mean.send(None)
    except StopIteration as stop:
        return answers, stop.value


feed([2, 4, 9])


# %%
def flatten(nested):
    for item in nested:
        if isinstance(item, list):
            yield from flatten(item)
        else:
            yield item


tree = [1, [2, [3, [4]], 5], [[6]]]
tree[1].append(tree[2])
list(flatten(tree))

# %%
tree[2][0][0] = "six"
"".join(map(str, flatten(tree)))


# %%
class Fibonacci:
    """Iterable again and again, unlike a generator; the iterator is an object of ours and can be kept."""

    def __init__(self):
        self.a, self.b = 0, 1

    def __iter__(self):
        return self

    def __next__(self):
        value = self.a
        self.a, self.b = self.b, self.a + self.b
        return value


fibonacci = Fibonacci()
[next(fibonacci) for _ in range(8)]

# %%
[next(fibonacci) for _ in range(4)], fibonacci.a

# %%
counter = itertools.count(10, 5)
letters = iter("abcdef")
pairs = [(next(counter), next(letters)) for _ in range(3)]
pairs


# %%
def managed():
    try:
        yield "working"
        yield "still working"
    finally:
        log.append("cleaned up")


worker = managed()
print(next(worker))
worker.close()
del worker
log[-1], next(counter), next(letters)

# %%
lines = ["# comment", "a=1", "", "b=2", "a=3"]
useful = (line for line in lines if line and not line.startswith("#"))
settings = dict(line.split("=") for line in useful)
exhausted = list(useful)
del useful
settings, exhausted
