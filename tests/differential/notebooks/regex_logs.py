# %% [markdown]
# # Reading a log with regular expressions

# %%
import re
from collections import Counter, defaultdict

LOG = """\
2024-05-01 08:00:01 INFO  web: GET /index.html 200 12ms
2024-05-01 08:00:02 WARN  web: GET /missing 404 3ms
2024-05-01 08:00:02 ERROR db: deadlock on table 'orders' (retry 1)
2024-05-01 08:00:05 INFO  web: POST /orders 201 48ms
2024-05-01 08:00:09 ERROR db: deadlock on table 'orders' (retry 2)
not a line of the log
2024-05-01 08:01:00 INFO  cron: cleaned 17 files
"""
pattern = re.compile(r"(?P<when>\S+ \S+) (?P<level>[A-Z]+)\s+(?P<part>\w+): (?P<text>.*)")
entries = [match.groupdict() for match in map(pattern.match, LOG.splitlines()) if match]
len(entries), entries[2]

# %%
levels = Counter(entry["level"] for entry in entries)
by_part = defaultdict(list)
for entry in entries:
    by_part[entry["part"]].append(entry)
levels.most_common(), sorted(by_part)

# %%
for entry in by_part["db"]:
    entry["retry"] = int(re.search(r"retry (\d+)", entry["text"])[1])
entries[2]["retry"], by_part["db"][0] is entries[2], len(by_part["nothing"]), len(by_part)

# %%
web = re.findall(r"(GET|POST) (\S+) (\d{3}) (\d+)ms", LOG)
slowest = max(web, key=lambda hit: int(hit[3]))
web, slowest

# %%
match = pattern.match(LOG)
start, end = match.span("level")
print(LOG[start:end], match.lastgroup, match["part"])
del match

# %%
seen = []


def redact(found):
    """Replace a number; remember which."""
    seen.append(found[0])
    return f"<{len(seen)}>"


redacted = re.sub(r"\b\d+(?=ms\b)", redact, LOG)
seen, redacted.count("<"), re.subn("ERROR", "error", LOG)[1]

# %%
re.sub(r"\d{3}", redact, "404 and 500"), seen

# %%
verbose = re.compile(
    r"""
    ^(?P<year>\d{4})-(?P<month>\d\d)  # a date
    .*?
    (?:'(?P<table>\w+)')?             # perhaps a quoted name
    \s\(
    """,
    re.VERBOSE | re.MULTILINE,
)
found = verbose.search(LOG)
found

# %%
del found
tokens = re.split(r"\s*([-+*/()])\s*", "3 * (4 + 5) - 6/2")
[token for token in tokens if token]

# %% raises
re.compile(r"(unclosed [group")

# %%
greedy, lazy = re.search(r"<.*>", "<a><b>")[0], re.search(r"<.*?>", "<a><b>")[0]
twice = re.compile(r"\b(\w+) \1\b", re.I)
greedy, lazy, twice.findall("the the cat sat Sat on on"), pattern.groupindex
