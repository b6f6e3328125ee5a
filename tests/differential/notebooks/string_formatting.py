# %% [markdown]
# # Text on the page: formatting

# %%
name, amount, share = "Łukasz", 1234567.891, 0.0725
f"{name:>10}|{name:<10}|{name:^10}|", f"{amount:,.2f}", f"{share:.1%}", f"{42:#06x} {42:08b}"

# %%
width, digits = 12, 3
print(f"{amount:{width}.{digits}f}")
print(f"{amount=:.1f} {name!r:*^12} {width + digits = }")

# %%
width = 20
template = "{0:>{w}} / {row[key]} / {obj.real}"
line = template.format(name, w=width, row={"key": "value"}, obj=3 + 4j)
line, "%s has %05.1f %%" % (name, 99.5)


# %%
class Money:
    """Understands its own format specifications."""

    symbol = "€"

    def __init__(self, cents):
        self.cents = cents

    def __format__(self, spec):
        if spec == "words":
            return f"{self.cents // 100} and {self.cents % 100}"
        return format(f"{self.symbol}{self.cents / 100:.2f}", spec)

    def __str__(self):
        return f"{self}"


price = Money(1995)
f"{price} {price:>10} {price:words}"

# %%
Money.symbol = "$"
print(price, f"{price:<9}|", sep="\n")

# %%
from string import Template
from textwrap import dedent, fill, indent

letter = Template("Dear $who,\nyou owe ${what}.")
text = letter.safe_substitute(who=name)
print(indent(text, "  > "))
letter.substitute(who=name, what=price)

# %%
paragraph = dedent("""
    It was a bright cold day in the notebook, and the cells were striking thirteen. Every one of them had
    a number, and none of them had run in order.
""")
print(fill(paragraph.strip(), 40))

# %%
rows = [("apple", 3, 0.5), ("kiwi", 12, 0.25), ("watermelon", 1, 4)]


def table(rows):
    longest = max(len(row[0]) for row in rows)
    total = sum(count * each for _, count, each in rows)
    body = "\n".join(f"{fruit:<{longest}} {count:>3} {each:>6.2f}" for fruit, count, each in rows)
    return f"{body}\n{'total':<{longest}} {total:>10.2f}"


print(table(rows))

# %%
rows.append(("fig", 40, 0.1))
print(table(rows))

# %%
table_of = str.maketrans({"a": "4", "e": "3", "o": None})
samples = ["straße", "ﬁne", "naïve", "İstanbul"]
[word.casefold() for word in samples], "leet code".translate(table_of), samples[2].encode("utf-8"), ascii(samples[1])

# %%
import unicodedata

decomposed = unicodedata.normalize("NFD", "naïve")
len(decomposed), decomposed == samples[2], unicodedata.name("Ł"), "".join(reversed("🇪🇺"))

# %%
"one,two,,four".split(","), "a b  c".split(), "key=value=x".partition("="), "spam".join("123"), "Title Case".swapcase()
