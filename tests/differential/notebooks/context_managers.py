# %% [markdown]
# # `with`: setting up and tidying away

# %%
import contextlib
import io
import os
import sys

events = []


class Stage:
    """Enters and leaves aloud; may swallow one kind of exception."""

    def __init__(self, name, swallow=()):
        self.name, self.swallow = name, swallow
        self.inside = False

    def __enter__(self):
        self.inside = True
        events.append(f"+{self.name}")
        return self

    def __exit__(self, kind, error, trace):
        self.inside = False
        events.append(f"-{self.name}" + (f" {kind.__name__}" if kind else ""))
        return bool(kind) and issubclass(kind, self.swallow)


with Stage("outer") as outer, Stage("inner") as inner:
    print(outer.inside, inner.inside)
outer.inside, events

# %%
stage = Stage("safe", swallow=ZeroDivisionError)
with stage:
    1 / 0
events[-1], stage.inside

# %% raises
with stage:
    events.append("about to fail")
    {}["nothing"]

# %%
stage.inside, events[-2:]


# %%
@contextlib.contextmanager
def setting(mapping, key, value):
    """Change one entry for the time of a block."""
    missing = object()
    before = mapping.get(key, missing)
    mapping[key] = value
    try:
        yield before if before is not missing else None
    finally:
        if before is missing:
            del mapping[key]
        else:
            mapping[key] = before


config = {"depth": 1}
with setting(config, "depth", 5) as was, setting(config, "new", True):
    during = dict(config)
was, during, config

# %%
with setting(os.environ, "LESSON", "seven"):
    inside = os.environ["LESSON"]
    !echo "the shell sees $LESSON"
inside, "LESSON" in os.environ

# %%
captured = io.StringIO()
with contextlib.redirect_stdout(captured):
    print("into the buffer")
    with contextlib.redirect_stdout(sys.stderr):
        print("to stderr")
print("outside")
captured.getvalue()

# %%
captured.write("more\n")
captured.getvalue().splitlines(), captured.tell()

# %%
with contextlib.ExitStack() as stack:
    stages = [stack.enter_context(Stage(letter)) for letter in "xyz"]
    stack.callback(events.append, "callback")
    kept = stack.pop_all()
count = len(events)
kept.close()
del stack, kept
events[count:], [stage.inside for stage in stages]

# %%
with contextlib.suppress(KeyError, IndexError):
    [][1]
    print("never")
with contextlib.chdir("/"):
    here = os.getcwd()
here, os.getcwd() != "/"
