# %% [markdown]
# # Errors, caught and uncaught
# What a traceback shows, and what is left behind when a cell ends early.

# %%
class ParseError(ValueError):
    """Carries the place, and prints it."""

    def __init__(self, text, position):
        super().__init__(f"unexpected {text[position]!r} at {position}")
        self.text, self.position = text, position


def parse(text):
    total = 0
    for position, letter in enumerate(text):
        if not letter.isdigit():
            raise ParseError(text, position)
        total += int(letter)
        done.append(letter)
    return total


done = []
parse("123"), done

# %% raises
result = "before"
parse("45x6")
result = "after"

# %%
result, done

# %%
try:
    parse("7?")
except ParseError as problem:
    kept = problem
    print(problem, "|", problem.position)
kept.args, kept.text, kept.__traceback__.tb_next.tb_frame.f_code.co_name

# %%
del kept
import traceback


def read(settings, name):
    try:
        return int(settings[name])
    except KeyError:
        raise LookupError(f"no setting {name}") from None
    except ValueError as problem:
        raise LookupError(f"bad setting {name}") from problem


settings = {"size": "ten", "depth": "3"}
for name in ("depth", "width", "size"):
    try:
        print(read(settings, name))
    except LookupError as problem:
        print(type(problem.__cause__).__name__, "".join(traceback.format_exception_only(problem)).strip())

# %% raises
read(settings, "size")


# %%
def tidy(items):
    try:
        return items.pop()
    except IndexError:
        return "empty"
    else:
        return "never here"
    finally:
        items.append("finally")


stack = []
tidy(stack), tidy(stack), stack

# %% raises
values = {"a": 1}
for key in values:
    values[key + "!"] = 2

# %%
values

# %%
group = ExceptionGroup("several", [ValueError("one"), TypeError("two"), ExceptionGroup("deeper", [ValueError("three")])])
caught = []
try:
    raise group
except* ValueError as part:
    caught += [str(error) for error in part.exceptions]
except* TypeError as part:
    caught.append(len(part.exceptions))
del group
caught

# %% raises
problem = RuntimeError("the measurement is odd")
problem.add_note("seen on a rainy day")
problem.add_note(f"after {len(done)} good digits")
raise problem

# %%
problem.__notes__, str(problem)

# %% raises
for attempt in range(3):
    print("attempt", attempt)
    assert attempt < 1, f"too many: {attempt}"

# %% raises
if attempt:
    print("a cell that cannot be compiled prints nothing"
undefined = =

# %%
"undefined" in globals(), attempt, done
