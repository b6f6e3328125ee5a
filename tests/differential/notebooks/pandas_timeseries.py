# %% [markdown]
# # A year of bicycle counts
# Made-up counts with a weekly rhythm; resampling, rolling windows and grouping.

# %%
import numpy as np
import pandas as pd

rng = np.random.default_rng(11)
days = pd.date_range("2023-01-01", periods=365, freq="D", tz="Europe/Berlin")
season = 200 + 150 * np.sin((np.arange(365) - 80) / 365 * 2 * np.pi)
counts = pd.Series(rng.poisson(season), index=days, name="bikes")
counts.head()

# %%
table = counts.to_frame()
table["weekday"] = table.index.day_name()
table["weekend"] = table.index.dayofweek >= 5
table.loc[table["weekend"], "bikes"] //= 2
table.iloc[5:9]

# %%
monthly = table["bikes"].resample("MS").agg(["sum", "mean", "max"])
monthly.round(1).tail(4)

# %%
by_day = table.groupby("weekday", sort=False)["bikes"]
order = by_day.mean().sort_values(ascending=False)
order.round(1)

# %%
for name, group in by_day:
    if name.startswith("S"):
        print(name, len(group), group.max())
quantiles = by_day.quantile([0.1, 0.9]).unstack()
quantiles.loc["Monday"]

# %%
table["smooth"] = table["bikes"].rolling(7, center=True).mean()
table["change"] = table["bikes"].pct_change().round(3)
table[["smooth", "change"]].dropna().describe().round(2)

# %%
wide = table.pivot_table(index=table.index.month, columns="weekend", values="bikes", aggfunc="mean").round(1)
wide.columns = ["workday", "weekend"]
wide.index.name = "month"
wide

# %%
%matplotlib inline
axes = table["smooth"].plot(figsize=(5, 2), title="seven-day mean")

# %%
axes.set_ylabel("bikes")
axes.figure

# %%
spring = table.loc["2023-03-25":"2023-03-27"]
clock = spring.index.tz_convert("UTC")
list(zip(clock.strftime("%F %H:%M"), spring["bikes"]))

# %%
events = pd.DataFrame({"day": pd.to_datetime(["2023-05-01", "2023-06-10"]).tz_localize("Europe/Berlin"),
                       "what": ["holiday", "race"]})
joined = events.merge(table, left_on="day", right_index=True, how="left")
joined[["what", "bikes", "weekday"]]

# %%
record = table["bikes"].idxmax()
table.at[record, "bikes"] = 999
counts[record] == 999, table["bikes"].max(), record
