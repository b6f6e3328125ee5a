# %% [markdown]
# # SQL in a notebook
# A connection belongs to the process that opened it, so the cells of one database stay together.

# %%
import sqlite3
from contextlib import closing

import pandas as pd

students = [("Ada", 12), ("Bob", 11), ("Cem", 12), ("Dia", 13)]
marks = [("Ada", "maths", 1), ("Ada", "art", 3), ("Bob", "maths", 4), ("Dia", "art", 1), ("Dia", "maths", 2)]

# %% group=db keeps=db
db = sqlite3.connect(":memory:")
db.executescript("""
create table student (name text primary key, age integer);
create table mark (name text references student, subject text, grade integer);
""")
db.executemany("insert into student values (?, ?)", students)
db.executemany("insert into mark values (?, ?, ?)", marks)
db.commit()
db.total_changes

# %% group=db keeps=db
rows = db.execute("select subject, avg(grade) from mark group by subject order by subject").fetchall()
rows

# %%
averages = dict(rows)
averages["sport"] = None
students.append(("Eli", 12))
averages

# %% group=db keeps=db
db.execute("insert into student values (?, ?)", students[-1])
try:
    with db:
        db.execute("insert into student values ('Flo', 10)")
        db.execute("insert into student values ('Ada', 99)")
except sqlite3.IntegrityError as problem:
    print(problem)
db.execute("select count(*) from student").fetchone()

# %% group=db keeps=db
print("in transaction:", db.in_transaction)
frame = pd.read_sql("select * from student left join mark using (name) order by name, subject", db)
frame

# %%
frame["passed"] = frame["grade"] < 4
frame.groupby("age")["passed"].sum()

# %% group=db keeps=db
db.create_function("initial", 1, lambda text: text[0])
frame[["name", "passed"]].to_sql("result", db, index=False)
db.row_factory = sqlite3.Row
last = db.execute("select initial(name) as i, passed from result order by rowid desc").fetchone()
letters = dict(last)
del last
letters

# %% group=db
dump = list(db.iterdump())
db.close()
del db
len(dump), dump[1]

# %% [markdown]
# A database in a file can be opened by anyone who has the file.

# %%
with closing(sqlite3.connect("school.db")) as connection:
    connection.executescript("\n".join(dump))
    tables = [name for (name,) in connection.execute("select name from sqlite_master order by name")]
del connection
tables

# %%
with closing(sqlite3.connect("school.db")) as connection:
    oldest = connection.execute("select name from student order by age desc").fetchone()
    connection.execute("delete from mark")
    connection.commit()
del connection
oldest

# %%
with closing(sqlite3.connect("school.db")) as connection:
    left = connection.execute("select count(*) from mark").fetchone()[0]
del connection
left
