# %% [markdown]
# # Lazy queries with Polars
# Orders of a small shop; expressions are values that can be kept and used again.

# %%
import datetime as dt

import polars as pl

orders = pl.DataFrame({
    "order": range(1, 9),
    "customer": ["ann", "bob", "ann", "cid", "bob", "ann", "dee", "cid"],
    "amount": [12.5, 3.0, 40.0, 7.25, 18.0, 2.5, 99.0, 7.25],
    "day": [dt.date(2024, 1, d) for d in (2, 2, 3, 5, 8, 9, 9, 12)],
    "tags": [["gift"], [], ["gift", "rush"], [], ["rush"], [], ["gift"], []],
})
orders

# %%
spent = pl.col("amount").sum().alias("spent")
often = pl.len().alias("orders")
per_customer = orders.group_by("customer", maintain_order=True).agg(spent, often)
per_customer

# %%
query = orders.lazy().filter(pl.col("amount") > 5).with_columns(week=pl.col("day").dt.week())
query = query.group_by("week").agg(spent).sort("week")
weekly = query.collect()
weekly

# %%
same = orders
orders = orders.with_columns(vat=(pl.col("amount") * 0.19).round(2))
same.width, orders.width, same is orders

# %%
same.insert_column(0, pl.Series("row", range(8)))
same.columns, orders.columns


# %%
def top(frame, count=2, by="amount"):
    return frame.sort(by, "order", descending=[True, False]).head(count)


display(top(orders))
top(orders, 1, by="vat").row(0, named=True)

# %%
tags = orders.explode("tags").drop_nulls("tags").group_by("tags").agg(pl.col("order")).sort("tags")
tags.to_dicts()

# %%
names = pl.DataFrame({"customer": ["ann", "bob", "eve"], "city": ["Oslo", "Lima", "Rome"]})
joined = per_customer.join(names, on="customer", how="full", coalesce=True).sort("customer")
print(joined)
joined.null_count().row(0)

# %%
orders = orders.with_columns(
    running=pl.col("amount").cum_sum().over("customer"),
    rank=pl.col("amount").rank("dense", descending=True),
    size=pl.when(pl.col("amount") > 15).then(pl.lit("large")).otherwise(pl.lit("small")).cast(pl.Categorical),
)
orders.select("customer", "running", "rank", "size").tail(3)

# %%
try:
    orders.select("colour")
except pl.exceptions.ColumnNotFoundError as problem:
    print(type(problem).__name__, str(problem).splitlines()[0])

# %%
import numpy as np

matrix = orders.select("amount", "vat").to_numpy()
matrix.sum(axis=0).round(2), orders["amount"].to_list() == matrix[:, 0].tolist()

# %%
frames = {name: part for (name,), part in orders.partition_by("customer", as_dict=True).items()}
{name: part.height for name, part in frames.items()}
