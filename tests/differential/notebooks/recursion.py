# %% [markdown]
# # Recursion: towers, permutations, trees

# %%
moves = []


def hanoi(disks, source="A", target="C", spare="B"):
    if disks:
        hanoi(disks - 1, source, spare, target)
        pegs[target].append(pegs[source].pop())
        moves.append(source + target)
        hanoi(disks - 1, spare, target, source)


pegs = {"A": [3, 2, 1], "B": [], "C": []}
tower = pegs["A"]
hanoi(3)
print(" ".join(moves))
pegs, tower

# %%
hanoi(3, "C", "A", "B")
tower == [3, 2, 1], tower is pegs["A"], len(moves)


# %%
def is_even(n):
    return n == 0 or is_odd(n - 1)


def is_odd(n):
    return n != 0 and is_even(n - 1)


is_even(10), is_odd(7), is_odd(8)

# %% raises
is_even(-1)

# %%
import sys

limit = sys.getrecursionlimit()
depth = 0


def down():
    global depth
    depth += 1
    down()


try:
    down()
except RecursionError as problem:
    print(type(problem).__name__, depth > limit // 2)
depth = 0


# %%
class Node:
    """A node of a binary search tree; a child knows its parent."""

    def __init__(self, key, parent=None):
        self.key, self.parent = key, parent
        self.left = self.right = None

    def insert(self, key):
        side = "left" if key < self.key else "right"
        child = getattr(self, side)
        if child:
            return child.insert(key)
        setattr(self, side, Node(key, self))
        return getattr(self, side)

    def __iter__(self):
        if self.left:
            yield from self.left
        yield self.key
        if self.right:
            yield from self.right

    def height(self):
        return 1 + max((child.height() for child in (self.left, self.right) if child), default=0)


root = Node(50)
for key in (30, 70, 20, 40, 60, 80):
    root.insert(key)
list(root), root.height()

# %%
leaf = root.insert(65)
way = [leaf.key]
node = leaf
while node.parent:
    node = node.parent
    way.append(node.key)
way, node is root

# %%
leaf.key = 66
root.right.left.right is leaf, list(root)


# %%
def permutations(items):
    if not items:
        return [[]]
    return [[item, *rest] for index, item in enumerate(items) for rest in permutations(items[:index] + items[index + 1:])]


def queens(size, placed=()):
    if len(placed) == size:
        return [placed]
    row = len(placed)
    free = [column for column in range(size)
            if all(column != c and abs(column - c) != row - r for r, c in enumerate(placed))]
    return [solution for column in free for solution in queens(size, (*placed, column))]


len(permutations([1, 2, 3, 4])), queens(6)

# %%
loop = [1, 2]
loop.append(loop)
ring = {"name": "ring", "next": {"name": "other"}}
ring["next"]["next"] = ring
loop, ring, loop[2][2] is loop

# %%
ring["next"]["next"]["name"] = "renamed"
loop[2].insert(0, 0)
ring["name"], loop
