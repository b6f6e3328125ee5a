# %% [markdown]
# # Sorting, searching, shortest ways

# %%
import bisect
import heapq
from collections import deque

comparisons = 0


def less(a, b):
    global comparisons
    comparisons += 1
    return a < b


def insertion_sort(items):
    for i in range(1, len(items)):
        j = i
        while j and less(items[j], items[j - 1]):
            items[j], items[j - 1] = items[j - 1], items[j]
            j -= 1
    return items


numbers = [5, 2, 9, 1, 7, 3]
same = insertion_sort(numbers)
same is numbers, numbers, comparisons


# %%
def merge_sort(items):
    if len(items) < 2:
        return items[:]
    middle = len(items) // 2
    left, right, merged = merge_sort(items[:middle]), merge_sort(items[middle:]), []
    while left and right:
        merged.append(left.pop(0) if not less(right[0], left[0]) else right.pop(0))
    return merged + left + right


comparisons = 0
words = "the quick brown fox jumps over the lazy dog".split()
merge_sort(words), words[0], comparisons

# %%
bisect.insort(numbers, 4)
bisect.bisect(numbers, 7), numbers

# %%
maze = [list(row) for row in ("S.#....", "..#.##.", "..#.#..", "....#.E", ".##....")]


def find(letter):
    return next((r, c) for r, row in enumerate(maze) for c, cell in enumerate(row) if cell == letter)


def shortest():
    start, goal = find("S"), find("E")
    came, queue = {start: None}, deque([start])
    while queue:
        r, c = queue.popleft()
        if (r, c) == goal:
            break
        for step in ((r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)):
            if step not in came and 0 <= step[0] < len(maze) and 0 <= step[1] < len(maze[0]) and maze[step[0]][step[1]] != "#":
                came[step] = (r, c)
                queue.append(step)
    way = []
    while goal:
        way.append(goal)
        goal = came.get(goal)
    return way[::-1]


way = shortest()
for r, c in way[1:-1]:
    maze[r][c] = "*"
print("\n".join(map("".join, maze)))
len(way)

# %%
row = maze[3]
row[3] = "#"
maze[3] is row, len(shortest())

# %%
heap = []
for priority, task in [(5, "write"), (1, "plan"), (3, "draft")]:
    heapq.heappush(heap, (priority, task))
first = heapq.heappop(heap)
first, heap

# %%
heapq.heappush(heap, (0, "panic"))
heapq.heapify(heap)
heapq.heappop(heap), len(heap)


# %%
class UnionFind:
    def __init__(self):
        self.parent = {}

    def find(self, item):
        parent = self.parent.setdefault(item, item)
        if parent != item:
            self.parent[item] = parent = self.find(parent)
        return parent

    def union(self, a, b):
        self.parent[self.find(a)] = self.find(b)


islands = UnionFind()
for a, b in [(1, 2), (3, 4), (2, 3), (8, 9)]:
    islands.union(a, b)
islands.find(1) == islands.find(4), islands.find(8) == islands.find(1)

# %%
islands.union(9, 1)
len({islands.find(item) for item in list(islands.parent)}), islands.parent

# %%
sieve = bytearray([1]) * 50
sieve[:2] = b"\0\0"
for n in range(2, 8):
    sieve[n * n :: n] = bytes(len(range(n * n, 50, n)))
primes = [n for n, prime in enumerate(sieve) if prime]
primes[-3:], type(sieve)


# %%
def knapsack(capacity, things):
    best = [0] * (capacity + 1)
    for weight, value in things:
        for room in range(capacity, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + value)
    return best


things = [(3, 4), (4, 5), (2, 3)]
table = knapsack(6, things)
things.append((1, 4))
table[-1], knapsack(6, things)[-1]
