# %% [markdown]
# # Files: text, CSV, JSON
# Everything is written to and read from the notebook's own folder.

# %%
import csv
import json
from pathlib import Path

folder = Path("lessons")
folder.mkdir(exist_ok=True)
poem = folder / "poem.txt"
poem.write_text("The fog comes\non little cat feet.\n\nIt sits looking\n", encoding="utf-8")

# %%
with poem.open(encoding="utf-8") as file:
    lines = [line.rstrip() for line in file]
lines, file.closed

# %%
with open("lessons/poem.txt", "a") as file:
    print("over harbor and city", file=file)
del file
words = poem.read_text().split()
len(words), words[-1]

# %%
rows = [{"name": "Ann", "points": 7}, {"name": "Bo, Jr.", "points": 9}, {"name": 'C "the" D', "points": 3}]
with open(folder / "points.csv", "w", newline="") as file:
    writer = csv.DictWriter(file, fieldnames=["name", "points"])
    writer.writeheader()
    writer.writerows(rows)
del file, writer
print((folder / "points.csv").read_text())

# %%
with open(folder / "points.csv", newline="") as file:
    table = [dict(row, points=int(row["points"])) for row in csv.DictReader(file)]
del file
table == rows, table[0] is rows[0]

# %%
settings = {"version": 2, "names": ["a", "b"], "nested": {"on": True, "ratio": 0.1, "none": None}}
(folder / "settings.json").write_text(json.dumps(settings, indent=2, sort_keys=True))
loaded = json.loads((folder / "settings.json").read_text())
loaded["names"].append("c")
loaded == settings, settings["names"]


# %%
class Encoder(json.JSONEncoder):
    def default(self, value):
        if isinstance(value, set):
            return sorted(value)
        if isinstance(value, Path):
            return value.as_posix()
        return super().default(value)


json.dumps({"tags": {"b", "a"}, "where": poem}, cls=Encoder)

# %% raises
json.loads('{"broken": [1, 2,}')

# %%
for path in sorted(folder.rglob("*")):
    print(f"{path.as_posix():<24} {path.stat().st_size:>4} bytes")

# %%
try:
    (folder / "missing.txt").read_text()
except FileNotFoundError as problem:
    print(problem.strerror, problem.filename)
with open(folder / "raw.bin", "wb") as file:
    file.write(bytes(range(256)))
with open(folder / "raw.bin", "rb") as file:
    file.seek(100)
    chunk = file.read(4)
del file
chunk, int.from_bytes(chunk, "big")

# %%
import shutil
import zipfile

with zipfile.ZipFile("lessons.zip", "w") as archive:
    for path in sorted(folder.glob("*.*")):
        archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes())
    names = archive.namelist()
del archive
shutil.rmtree(folder)
names, folder.exists()

# %%
with zipfile.ZipFile("lessons.zip") as archive:
    archive.extract("poem.txt")
del archive
Path("poem.txt").read_text() == "The fog comes\non little cat feet.\n\nIt sits looking\nover harbor and city\n"
