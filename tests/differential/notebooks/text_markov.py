# %% [markdown]
# # Counting words, writing nonsense

# %%
import random
import string
from collections import Counter, defaultdict

TEXT = """It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want
of a wife. However little known the feelings or views of such a man may be on his first entering a neighbourhood,
this truth is so well fixed in the minds of the surrounding families, that he is considered as the rightful property
of some one or other of their daughters."""
stop_words = set("a the of in is it that be or as on he his so some".split())


def tokens(text):
    cleaned = text.lower().translate(str.maketrans("", "", string.punctuation))
    return [word for word in cleaned.split() if word not in stop_words]


words = tokens(TEXT)
len(words), words[:6]

# %%
stop_words |= {"such", "may", "this"}
frequency = Counter(tokens(TEXT))
frequency.most_common(4), len(words) - frequency.total()

# %%
lengths = Counter(map(len, frequency))
for length in sorted(lengths):
    print(f"{length:>2} {'#' * lengths[length]}")

# %%
chain = defaultdict(list)
plain = TEXT.lower().replace(",", "").split()
for left, right in zip(plain, plain[1:]):
    chain[left].append(right)
chain["a"], len(chain)

# %%
writer = random.Random("austen")


def babble(start, length):
    """Follow the chain; a word nobody followed ends it."""
    said = [start]
    while len(said) < length and chain[said[-1]]:
        said.append(writer.choice(chain[said[-1]]))
    return " ".join(said)


babble("it", 12)

# %%
chain["it"].clear()
chain["it"] += ["rains"]
chain["rains"] = chain["a"]
babble("it", 8), chain["rains"] is chain["a"]

# %%
chain["rains"].append("lot")
chain["a"][-1], babble("a", 6)


# %%
def distance(left, right):
    """How many letters apart two words are (Levenshtein)."""
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (letter != other))
    return row[-1]


def suggest(word, known=frequency):
    return min(known, key=lambda candidate: (distance(word, candidate), candidate))


suggest("fortnue"), suggest("proprety"), distance("kitten", "sitting")

# %%
frequency["fortnight"] += 1
frequency.subtract(["truth", "truth"])
suggest("fortnigt"), frequency["truth"], suggest.__defaults__[0] is frequency

# %%
shift = 3
cipher = {letter: string.ascii_lowercase[(index + shift) % 26] for index, letter in enumerate(string.ascii_lowercase)}
secret = "".join(cipher.get(letter, letter) for letter in TEXT[:40].lower())
inverse = {value: key for key, value in cipher.items()}
secret, "".join(inverse.get(letter, letter) for letter in secret)

# %%
index = {}
for number, line in enumerate(TEXT.splitlines(), 1):
    for word in tokens(line):
        index.setdefault(word, set()).add(number)
{word: sorted(lines) for word, lines in sorted(index.items()) if len(lines) > 1}
