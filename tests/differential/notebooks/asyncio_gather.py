# %% [markdown]
# # Waiting for many things at once
# `await` at the top of a cell, tasks, timeouts and what happens to errors.

# %%
import asyncio

log = []


async def fetch(name, ticks):
    """Pretend to read from a slow place; a tick is one turn of the loop."""
    log.append(f"ask {name}")
    for _ in range(ticks):
        await asyncio.sleep(0)
    log.append(f"got {name}")
    return name.upper()


await fetch("first", 1)

# %%
results = await asyncio.gather(fetch("a", 3), fetch("b", 1), fetch("c", 2))
print(results)
log

# %%
log.clear()


async def fragile(name):
    await asyncio.sleep(0)
    raise ValueError(f"no answer from {name}")


mixed = await asyncio.gather(fetch("ok", 1), fragile("bad"), return_exceptions=True)
mixed

# %% keeps=group,kept
try:
    async with asyncio.TaskGroup() as group:
        kept = group.create_task(fetch("kept", 0))
        group.create_task(fragile("left"))
        group.create_task(fragile("right"))
except* ValueError as several:
    print(sorted(str(error) for error in several.exceptions))
kept.result()

# %%
try:
    await asyncio.wait_for(asyncio.sleep(30), timeout=0.01)
except TimeoutError:
    print("too slow")
log[-1]


# %%
class Countdown:
    """An asynchronous iterator, written out."""

    def __init__(self, start):
        self.left = start

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.left == 0:
            raise StopAsyncIteration
        await asyncio.sleep(0)
        self.left -= 1
        return self.left


count = Countdown(5)
seen = []
async for number in count:
    seen.append(number)
    if number == 3:
        break
seen, count.left

# %%
rest = [number async for number in count]
rest, count.left


# %%
class Session:
    opened = 0

    async def __aenter__(self):
        type(self).opened += 1
        print("open")
        return self

    async def __aexit__(self, kind, error, trace):
        print("close", kind.__name__ if kind else None)
        return kind is KeyError


async with Session() as session:
    raise KeyError("swallowed")
Session.opened

# %% raises
await fragile("the last one")

# %%
async def pipeline(items):
    async def doubled():
        for item in items:
            await asyncio.sleep(0)
            yield item * 2

    return [value + offset async for value in doubled()]


offset = 100
await pipeline([1, 2, 3])
