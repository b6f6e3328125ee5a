# %% [markdown]
# # Output as it is written
# Bars drawn over themselves, two streams that mix, warnings and logging.

# %%
import logging
import sys
import warnings

done = 0
for done in range(1, 6):
    print(f"\r[{'#' * done}{'.' * (5 - done)}]", end="")
print(" ready")

# %%
for number in range(3):
    print("out", number)
    print("err", number, file=sys.stderr)
sys.stdout.write("no newline at the end")

# %%
print("\x1b[31mred\x1b[0m and plain")
print("overwritten\rover")
print("tab\there", "bell", sep="|", end="\n\n")
print("ünïcödé ✓ 日本")


# %%
def deprecated(value):
    warnings.warn(f"use something better than {value}", DeprecationWarning, stacklevel=2)
    return value


with warnings.catch_warnings(record=True) as heard:
    warnings.simplefilter("always")
    deprecated(1)
    deprecated(2)
messages = [str(one.message) for one in heard]
del heard
messages


# %% group=log
class Memory(logging.Handler):
    """Keeps records in a list of the notebook."""

    def emit(self, record):
        records.append(f"{record.levelname.lower()}: {record.getMessage()}")


records = []
log = logging.getLogger("lesson")
log.setLevel(logging.INFO)
log.propagate = False
log.addHandler(Memory())
log.info("started with %d", done)
log.debug("not heard")
records

# %% group=log
logging.getLogger("lesson").warning("second cell")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("caught")
records, len(log.handlers), log.isEnabledFor(logging.DEBUG)

# %%
class Bar:
    """A progress bar that counts in cells to come."""

    def __init__(self, total, stream):
        self.total, self.seen, self.stream = total, 0, stream

    def step(self):
        self.seen += 1
        self.stream.write(f"\r{self.seen * 100 // self.total:>3}%")
        self.stream.flush()


bar = Bar(8, sys.stderr)
for _ in range(4):
    bar.step()

# %%
bar.stream is sys.stderr, bar.seen

# %%
for _ in range(4):
    bar.step()
print(" done", file=bar.stream)

# %%
class Tee:
    def __init__(self, stream, copy):
        self.stream, self.copy = stream, copy

    def write(self, text):
        self.copy.append(text)
        return self.stream.write(text)

    def flush(self):
        self.stream.flush()


copy = []
print("twice", 2, file=Tee(sys.stdout, copy))
copy

# %% group=log
import pprint

nested = {"letters": list("abc"), "deep": {"er": {"est": [{"n": n} for n in range(3)]}}}
pprint.pprint(nested, width=40)
nested["deep"]["er"]["est"][0]["n"] = nested["letters"]
pprint.pformat(nested, depth=2), logging.getLogger("lesson") is log
