# %% [markdown]
# # A figure built over several cells
# The figure is kept in a variable and grows. `pyplot` also remembers what is current.

# %%
%matplotlib inline
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 2 * np.pi, 60)
figure, (left, right) = plt.subplots(1, 2, figsize=(6, 2.2))
left.plot(x, np.sin(x), label="sine")
plt.close(figure)  # shown later, by name

# %%
left.plot(x, np.cos(x), "--", label="cosine")
left.legend(loc="lower left", fontsize=7)
print(len(left.lines), [line.get_label() for line in left.lines])

# %%
bars = right.bar(["a", "b", "c"], [3, 1, 2])
bars[1].set_color("tab:red")
right.set_title("counts")
figure

# %%
for bar, height in zip(bars, (1, 4, 9)):
    bar.set_height(height)
right.relim()
right.autoscale_view()
figure.suptitle("changed")
figure

# %% group=line
line = left.lines[0]
line.set_ydata(line.get_ydata() * 0.5)
left.get_figure() is figure, figure.axes[0] is left, line.get_ydata().max().round(3)

# %% [markdown]
# Two figures from one cell, the second one by `pyplot` alone.

# %%
for power in (1, 2):
    plt.figure(figsize=(2, 1.5))
    plt.plot(x, x**power)
    plt.title(f"power {power}")
    plt.show()
plt.get_fignums()

# %%
image = np.outer(np.hanning(16), np.hanning(16))
fig, ax = plt.subplots(figsize=(2, 2))
shown = ax.imshow(image, cmap="viridis")
fig.colorbar(shown)

# %%
import io

buffer = io.BytesIO()
fig.savefig(buffer, format="png", dpi=50)
buffer.seek(0)
picture = plt.imread(buffer)
picture.shape, picture.dtype

# %% group=line
left.scatter([1, 2], [0, 0])
try:
    left.plot([1, 2, 3], [1, 2])
except ValueError as problem:
    print(problem)
len(left.collections)
