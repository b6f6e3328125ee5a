# %% [markdown]
# # Producers and consumers
# One cell, one conversation: queues and locks are made where they are used.

# %%
import asyncio
from collections import Counter
from dataclasses import dataclass, field

handled = Counter()


@dataclass(order=True)
class Job:
    priority: int
    name: str = field(compare=False)
    done: bool = field(default=False, compare=False)


jobs = [Job(3, "sweep"), Job(1, "alarm"), Job(2, "mail"), Job(3, "dust")]
sorted(jobs)


# %%
async def worker(name, queue):
    while True:
        job = await queue.get()
        await asyncio.sleep(0)
        job.done = True
        handled[name] += 1
        print(name, "did", job.name)
        queue.task_done()


async def run(workers):
    queue = asyncio.PriorityQueue()
    for job in jobs:
        queue.put_nowait(job)
    crew = [asyncio.create_task(worker(f"w{n}", queue)) for n in range(workers)]
    await queue.join()
    for member in crew:
        member.cancel()
    await asyncio.gather(*crew, return_exceptions=True)


await run(2)

# %%
[job.done for job in jobs], sum(handled.values()), sorted(handled)

# %%
jobs += [Job(0, "late"), Job(9, "later")]
first = jobs[0]
first.done = False
await run(1)
handled["w0"], first is jobs[0], first.done


# %%
class Account:
    """A balance behind a lock that is made when first needed."""

    def __init__(self, balance):
        self.balance = balance

    async def move(self, other, amount, lock):
        async with lock:
            before = self.balance
            await asyncio.sleep(0)
            self.balance = before - amount
            other.balance += amount


async def storm():
    lock = asyncio.Lock()
    await asyncio.gather(*(left.move(right, 1, lock) for _ in range(50)))


left, right = Account(100), Account(0)
await storm()
left.balance, right.balance

# %%
await storm()
left.balance, right.balance

# %%
gate = []


async def limited(number, permits):
    async with permits:
        gate.append(number)
        most.append(len(gate))
        await asyncio.sleep(0.001)
        gate.remove(number)


most = []
permits = asyncio.Semaphore(3)
await asyncio.gather(*(limited(n, permits) for n in range(9)))
del permits
max(most), gate


# %%
async def ticker(ticks):
    for number in range(ticks):
        yield number
        await asyncio.sleep(0)


totals = {}
async for number in ticker(4):
    totals[number] = totals.get(number - 1, 0) + number
totals

# %%
output = await asyncio.create_subprocess_exec("echo", "from a child", stdout=asyncio.subprocess.PIPE)
text, _ = await output.communicate()
code = output.returncode
del output
text, code
