# %% [markdown]
# # Ten cells of plain Python

# %%
import random
from collections import Counter

random.seed(1)
tally = Counter()


class Die:
    """A die that counts its throws."""

    throws = 0

    def __init__(self, sides=6):
        self.sides = sides

    def throw(self):
        Die.throws += 1
        value = random.randint(1, self.sides)
        tally[value] += 1
        return value


die = Die()
die.throw(), Die.throws

# %%
history = [die.throw() for _ in range(5)]
alias = history
history

# %%
alias.append(die)
history[-1] is die, sum(tally.values())

# %%
def bag():
    things = []

    def put(thing):
        things.append(thing)
        return len(things)

    put.things = things
    return put


put = bag()
put("pen"), put(history)

# %% raises
history.append("before the error")
print("about to fail")
history[0] / (Die.throws - 6)

# %%
history[-1], put.things[1] is history, _

# %%
die.sides = 100
put(die.throw())
print(put.things[-1], end="\r")
print(put.things[-1])
put.things[1][-2] is die


# %%
class Die(Die):
    def throw(self):
        return -super().throw()


new = Die(3)
new.throw() < 0, type(die) is Die, isinstance(new, type(die)), type(die).throws

# %%
del alias
die.colour = "red"
vars(die), "alias" in globals(), random.random()
