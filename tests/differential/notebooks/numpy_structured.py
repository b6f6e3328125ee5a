# %% [markdown]
# # Records, masks and odd dtypes
# Measurements from a small weather station: structured rows, missing values, dates.

# %%
import numpy as np

kind = np.dtype([("station", "U6"), ("when", "datetime64[h]"), ("celsius", "f4"), ("rain", "i2")])
readings = np.array(
    [("north", "2024-03-01T06", 4.5, 0), ("north", "2024-03-01T12", 9.25, 2), ("south", "2024-03-01T06", 6.0, -1),
     ("south", "2024-03-01T12", 13.5, 0), ("east", "2024-03-01T12", 11.0, 5)],
    dtype=kind,
)
readings

# %% group=fields
temperature = readings["celsius"]  # a view of one field
temperature += 0.5
readings["celsius"].tolist(), temperature.base is readings

# %%
rain = np.ma.masked_less(readings["rain"], 0)
rain, rain.mean(), rain.filled(-9)

# %%
rain[1] = np.ma.masked
rain[3] = 7
print(rain.mask, rain.sum(), readings["rain"])

# %% group=fields
view = readings.view(np.recarray)
view.station[0] = "NORTH"
readings["station"]

# %%
readings.sort(order=["when", "celsius"])
for row in readings:
    print(f"{row['station']:<6} {row['when']} {row['celsius']:6.2f}")

# %% [markdown]
# Object arrays hold anything, and they hold references.

# %%
notes = []
cells = np.empty((2, 2), dtype=object)
cells[:] = None
cells[0, 0] = cells[1, 1] = notes
notes.append("calibrated")
cells

# %%
cells[1, 1].append("cleaned")
notes, cells[0, 0] is notes

# %%
span = readings["when"].max() - readings["when"].min()
hours = np.arange("2024-03-01", "2024-03-02", 6, dtype="datetime64[h]")
span, hours, np.isin(hours, readings["when"])

# %%
packed = np.packbits(np.array([1, 0, 1, 1, 0, 0, 1, 0], dtype=bool))
tiny = np.array([0.1, 65504, 1e-8], dtype=np.float16)
complexes = np.exp(1j * np.pi * np.arange(4) / 2)
packed, tiny, complexes.round(3), np.array([np.nan, np.inf, -0.0])

# %%
text = np.strings.upper(np.array(["zebra", "apple", "mango"], dtype=np.dtypes.StringDType()))
order = np.argsort(text)
text[order], text.dtype
