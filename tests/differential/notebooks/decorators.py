# %% [markdown]
# # Decorators

# %%
import functools

calls = {}


def counted(function):
    """Count calls by name in the notebook's dictionary."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        calls[function.__name__] = calls.get(function.__name__, 0) + 1
        return function(*args, **kwargs)

    return wrapper


@counted
def greet(name, punctuation="!"):
    """Say hello."""
    return f"hello {name}{punctuation}"


greet("Ada"), greet("Bob", punctuation="?"), calls

# %%
greet.__name__, greet.__doc__, greet.__wrapped__("raw"), calls["greet"]


# %%
@functools.lru_cache(maxsize=None)
@counted
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


fibonacci(30), calls["fibonacci"]

# %% [markdown]
# A cache written out by hand is an ordinary dictionary, and travels like one.

# %%
def memoized(function):
    memory = {}

    @functools.wraps(function)
    def wrapper(*args):
        if args not in memory:
            memory[args] = function(*args)
        return memory[args]

    wrapper.memory = memory
    return wrapper


@memoized
@counted
def paths(right, down):
    """Ways through a grid."""
    return 1 if right == 0 or down == 0 else paths(right - 1, down) + paths(right, down - 1)


paths(4, 4), calls["paths"], len(paths.memory)

# %%
before = calls["paths"]
paths(5, 5), calls["paths"] - before

# %%
paths.memory.clear()
paths.memory[0, 1] = 100
paths(1, 1)


# %%
def retry(times, on=(ValueError,)):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            for attempt in range(1, times + 1):
                try:
                    return function(*args, **kwargs)
                except on as problem:
                    print(f"attempt {attempt}: {problem}")
            raise RuntimeError(f"{function.__name__} failed {times} times")

        return wrapper

    return decorate


answers = ["x", "7", "y", "z"]


@retry(times=2)
def parse():
    return int(answers.pop(0))


parse(), answers

# %% raises
parse()

# %%
answers


# %%
class Register:
    """A decorator with state, as in small web frameworks."""

    def __init__(self):
        self.routes = {}

    def __call__(self, path):
        def add(function):
            self.routes[path] = function
            return function

        return add


route = Register()


@route("/")
def index():
    return f"{len(route.routes)} routes"


@route("/sum")
def add(*numbers):
    return sum(numbers) + BASE


BASE = 1000
route.routes["/"](), route.routes["/sum"](1, 2), route.routes["/"] is index


# %%
def total_order(cls):
    cls.__lt__ = lambda self, other: self.key() < other.key()
    return functools.total_ordering(cls)


@total_order
class Card:
    ranks = "789TJQKA"

    def __init__(self, rank):
        self.rank = rank

    def key(self):
        return self.ranks.index(self.rank)

    def __eq__(self, other):
        return self.key() == other.key()

    def __hash__(self):
        return hash(self.rank)

    def __repr__(self):
        return self.rank


hand = [Card(rank) for rank in "K7AT"]
sorted(hand), max(hand), hand[0] >= hand[1]

# %%
Card.ranks = Card.ranks[::-1]
sorted(hand), hand[0] >= hand[1]
