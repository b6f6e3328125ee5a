# %% [markdown]
# # Threads that share the notebook's data

# %%
import queue
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

results = {}


def work(number):
    """Square a number and note it in the notebook."""
    results[number] = number**2 * factor
    return results[number]


factor = 1
with ThreadPoolExecutor(4) as pool:
    answers = list(pool.map(work, range(6)))
del pool
answers, sorted(results.items())

# %%
factor = -1
with ThreadPoolExecutor(2) as pool:
    done = {future.result() for future in as_completed([pool.submit(work, n) for n in range(3)])}
del pool
sorted(done), sorted(results.items())[:3]

# %%
total = 0
steps = []


def add(count):
    global total
    for _ in range(count):
        with guard:
            total += 1
    with guard:
        steps.append(count)


guard = threading.Lock()
threads = [threading.Thread(target=add, args=(100 * n,)) for n in range(1, 5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
del threads, thread, guard
total, sorted(steps)

# %%
total += 1
steps.clear()
guard = threading.RLock()
add(9)
with guard, guard:
    again = total
del guard
again, steps

# %%
def conveyor(items):
    inbox, outbox = queue.Queue(), []

    def consume():
        while (item := inbox.get()) is not None:
            outbox.append(item * factor)

    consumer = threading.Thread(target=consume)
    consumer.start()
    for item in items:
        inbox.put(item)
    inbox.put(None)
    consumer.join()
    return outbox


conveyor([1, 2, 3])

# %%
local = threading.local()
local.value = "main"
seen = []


def peek():
    seen.append(getattr(local, "value", "nothing"))


thread = threading.Thread(target=peek)
thread.start()
thread.join()
peek()
del local, thread
seen

# %%
with ThreadPoolExecutor(1) as pool:
    future = pool.submit(lambda: 1 / (factor + 1))
problem = future.exception()
finished = future.done()
del pool, future
repr(problem), finished

# %% raises
raise problem

# %%
def chatter(name):
    for n in range(2):
        print(name, n)


for name in "ab":
    thread = threading.Thread(target=chatter, args=(name,))
    thread.start()
    thread.join()
del thread

# %%
del problem
timer = threading.Event()
threading.Thread(target=timer.set).start()
waited = timer.wait(timeout=10)
del timer
waited, threading.current_thread() is threading.main_thread()
