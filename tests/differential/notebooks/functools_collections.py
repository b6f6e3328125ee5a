# %% [markdown]
# # The drawers of the standard library

# %%
import functools
import operator
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple

base = 10
power = functools.partial(pow, base)
shout = functools.partial(print, "!!", sep=" ", end=" !!\n")
power(3), power.args

# %%
shout("careful")
base = 2  # the partial holds the old value
power(3), functools.reduce(operator.mul, range(1, 6), base)


# %%
@functools.singledispatch
def size(value):
    return f"something: {type(value).__name__}"


@size.register
def _(value: int):
    return f"{value.bit_length()} bits"


@size.register(list)
def _(value):
    return f"{len(value)} items, first {size(value[0])}"


size([7, 8]), size("x"), sorted(kind.__name__ for kind in size.registry)

# %%
size.register(str, lambda value: f"{len(value)} letters")
size("word"), size(["word"])

# %%
defaults = {"colour": "red", "size": 1}
user = {}
options = ChainMap(user, defaults)
options["size"] = 5
defaults["colour"] = "blue"
dict(options), user, options.maps[1] is defaults

# %%
child = options.new_child({"size": 9})
user["font"] = "mono"
child["font"], child["size"], child.parents["size"], len(child)

# %%
recent = deque(maxlen=3)
for n in range(5):
    recent.append(n)
recent.rotate(1)
lru = OrderedDict(a=1, b=2, c=3)
lru.move_to_end("a")
lru.popitem(last=False)
recent, lru

# %%
recent.appendleft("new")
grouped = defaultdict(lambda: defaultdict(int))
for word in "to be or not to be".split():
    grouped[len(word)][word] += 1
recent, {length: dict(words) for length, words in grouped.items()}

# %%
grouped[9]["generated"] += base
left, right = Counter("mississippi"), Counter(s=1, p=9)
left & right, left - right, grouped[9]

# %%
Pixel = namedtuple("Pixel", "x y colour", defaults=["black"])
pixels = [Pixel(1, 2), Pixel(0, 5, "red")]
sorted(pixels, key=operator.attrgetter("x")), [operator.itemgetter(2, 0)(pixel) for pixel in pixels]


# %%
class Lower(UserDict):
    """Keys in any case."""

    def __setitem__(self, key, value):
        super().__setitem__(key.lower(), value)

    def __missing__(self, key):
        if key == key.lower():
            raise KeyError(key)
        return self[key.lower()]


class Lazy:
    computed = 0

    @functools.cached_property
    def answer(self):
        Lazy.computed += 1
        return base * 21


headers = Lower({"Host": "here"})
lazy = Lazy()
headers["HOST"], lazy.answer, lazy.answer, Lazy.computed

# %%
base = 1000
headers["ACCEPT"] = "*"
del lazy.answer
dict(headers), lazy.answer, Lazy.computed, vars(lazy)

# %% raises
headers["nothing"]
