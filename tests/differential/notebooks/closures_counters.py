# %% [markdown]
# # Functions that remember

# %%
def counter(start=0):
    count = start

    def up(by=1):
        nonlocal count
        count += by
        return count

    def peek():
        return count

    return up, peek


up, peek = counter(10)
up(), up(5), peek()

# %%
other_up, other_peek = counter()
other_up()
peek(), other_peek(), up()

# %%
alias = up
alias()
up.__closure__[0].cell_contents, peek()

# %%
adders = [lambda value: value + n for n in range(3)]
fixed = [lambda value, n=n: value + n for n in range(3)]
[add(10) for add in adders], [add(10) for add in fixed]


# %%
def collect(item, into=[]):
    """The famous default argument."""
    into.append(item)
    return into


collect(1)
collect(2)

# %%
mine = collect(3)
mine.append("by hand")
collect(4), collect.__defaults__[0] is mine

# %%
factor = 2


def scaled(value):
    scaled.calls = getattr(scaled, "calls", 0) + 1
    return value * factor


def twice(function):
    return lambda value: function(function(value))


quadruple = twice(scaled)
quadruple(3), scaled.calls

# %%
factor = 10
quadruple(3), scaled.calls

# %%
total = 0


def add(*values):
    global total
    for value in values:
        total += value
    return total


add(1, 2), add(3), total

# %%
del factor
try:
    scaled(1)
except NameError as problem:
    print(problem)
factor = -1
scaled(1), scaled.calls


# %%
def make_account():
    balance = {"amount": 0}
    log = []

    def deposit(amount):
        balance["amount"] += amount
        log.append(amount)

    def statement():
        return f"{balance['amount']} from {log}"

    deposit.undo = lambda: deposit(-log[-1])
    return deposit, statement


deposit, statement = make_account()
deposit(50)
deposit(20)
deposit.undo()
statement()

# %%
desk = {"put": deposit, "say": statement, "up": up}
desk["put"](5)
desk["up"]()
statement(), peek(), desk["up"] is alias
