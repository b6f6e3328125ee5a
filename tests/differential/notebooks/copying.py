# %% [markdown]
# # Names, references, copies
# Draw the boxes and arrows before you run a cell.

# %%
import copy

a = [1, 2, 3]
b = a
c = a[:]
matrix = [[0] * 3] * 2
honest = [[0] * 3 for _ in range(2)]
a is b, a is c, matrix[0] is matrix[1], honest[0] is honest[1]

# %%
b.append(4)
c.append("c")
matrix[0][0] = 1
honest[0][0] = 1
a, c, matrix, honest

# %%
a = a + [5]  # a new list for one of the names
b += [6]  # the old one changed in place
a, b, a is b

# %%
inner = {"level": 2}
outer = {"inner": inner, "list": [inner, inner], "self": None}
outer["self"] = outer
shallow, deep = copy.copy(outer), copy.deepcopy(outer)
shallow["inner"] is inner, deep["inner"] is inner, deep["list"][0] is deep["list"][1], deep["self"] is deep, shallow["self"] is outer

# %%
inner["level"] = 3
deep["list"][0]["level"] = 99
outer["list"][1], shallow["inner"], deep["inner"]


# %%
class Shelf:
    """Says itself how it is copied."""

    copies = 0

    def __init__(self, books):
        self.books = books

    def __copy__(self):
        type(self).copies += 1
        return type(self)(self.books)

    def __deepcopy__(self, memo):
        type(self).copies += 1
        return type(self)(copy.deepcopy(self.books, memo))


shelf = Shelf(a)
twin, clone = copy.copy(shelf), copy.deepcopy(shelf)
twin.books is a, clone.books == a, clone.books is a, Shelf.copies

# %%
a.clear()
shelf.books, twin.books, clone.books

# %%
def swap(x, y):
    x, y = y, x
    return x, y


def empty(things):
    things.clear()
    things = ["local"]
    return things


first, second = {1}, {2}
swap(first, second), first, empty(first), first

# %%
pair = (b, "fixed")
try:
    pair[0] += ["appended anyway"]
except TypeError as problem:
    print(problem)
pair, b

# %%
head, *tail = b
x = y = []
x.append(head)
del b
pair[0], y, tail, "b" in dir()

# %%
snapshot = dict(vars(shelf))
frozen = frozenset([1, 2]), tuple(tail), bytes([1, 2])
buffer = bytearray(b"abc")
window = memoryview(buffer)
window[0] = ord("X")
del window
buffer, snapshot["books"] is a, copy.copy(frozen) is frozen

# %%
graph = {name: [] for name in "abc"}
graph["a"].append(graph["b"])
graph["b"].append(graph["c"])
graph["c"].append(graph["a"])
path = graph["a"][0][0][0]
path is graph["a"], len(graph["c"][0])

# %%
graph["b"].insert(0, "new")
path[0][0], graph["c"][0][0] is graph["b"]
