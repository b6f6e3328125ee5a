# %% [markdown]
# # Exact numbers

# %%
import decimal
import math
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

0.1 + 0.2 == 0.3, Decimal("0.1") + Decimal("0.2") == Decimal("0.3"), Decimal(0.1)

# %%
decimal.getcontext().prec = 8
Decimal(1) / 7

# %% [markdown]
# The precision is state of the thread: it must hold in the next cell.

# %%
Decimal(2).sqrt(), decimal.getcontext().prec

# %%
with decimal.localcontext(prec=30) as precise:
    long = Decimal(1) / 7
    precise.rounding = ROUND_HALF_UP
del precise
long, +long, decimal.getcontext().rounding == ROUND_HALF_EVEN

# %%
decimal.getcontext().prec = 28
cents = Decimal("0.01")
prices = [Decimal("2.675"), Decimal("2.665"), Decimal("-2.675")]
[[str(price.quantize(cents, rounding=rule)) for price in prices] for rule in (ROUND_HALF_UP, ROUND_HALF_EVEN)]

# %%
ledger = {"total": Decimal(0), "lines": []}


def book(amount, rate="0.19"):
    """Book an amount and its tax, exactly."""
    net = Decimal(amount)
    tax = (net * Decimal(rate)).quantize(cents)
    ledger["lines"].append((net, tax))
    ledger["total"] += net + tax
    return ledger["total"]


book("19.99"), book("5.01", "0.07")

# %%
book("0.10")
ledger

# %%
half, third = Fraction(1, 2), Fraction("1/3")
half + third, half**3, Fraction(0.125), Fraction(math.pi).limit_denominator(1000)


# %%
def egyptian(fraction):
    """As a sum of fractions with numerator one."""
    parts = []
    while fraction:
        unit = Fraction(1, math.ceil(1 / fraction))
        parts.append(unit)
        fraction -= unit
    return parts


parts = egyptian(Fraction(7, 15))
print(" + ".join(map(str, parts)))
sum(parts)

# %% raises
Decimal("1e-400") / Decimal(0)

# %%
decimal.getcontext().traps[decimal.DivisionByZero] = False
infinite = Decimal(1) / 0
decimal.getcontext().traps[decimal.DivisionByZero] = True
infinite, -infinite < 0, Decimal("NaN").is_nan()

# %%
big = 2**200
comb = math.comb(60, 30)
big, comb, big % 97, math.isqrt(big), (0.1).as_integer_ratio(), float("1e308") * 10, round(2.5), -7 // 2, divmod(-7, 2)

# %%
import statistics

data = [Fraction(1, 3), Fraction(2, 3), Fraction(5)]
data.append(half)
statistics.mean(data), math.fsum([0.1] * 10), sum([0.1] * 10), complex(1, -2).conjugate()
