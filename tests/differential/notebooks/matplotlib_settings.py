# %% [markdown]
# # Settings that stay
# `rcParams`, styles and colour cycles are state of the library, and of nobody's variable.

# %%
%matplotlib inline
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import ticker

plt.rcParams["figure.figsize"] = (3, 2)
plt.rcParams["axes.grid"] = True
plt.rcParams.update({"font.size": 8, "lines.linewidth": 2.5})
plt.rcParams["font.size"]

# %%
plt.plot([3, 1, 2])
plt.gca().lines[0].get_linewidth(), plt.gcf().get_size_inches()

# %%
with plt.style.context("ggplot"):
    plt.plot([1, 2, 3])
    inside = mpl.rcParams["axes.facecolor"]
inside, mpl.rcParams["axes.facecolor"]

# %%
palette = mpl.rcParams["axes.prop_cycle"].by_key()["color"]
cycle = plt.cycler(color=["black", "gray"]) + plt.cycler(linestyle=["-", ":"])
figure, axes = plt.subplots()
axes.set_prop_cycle(cycle)
drawn = [axes.plot([0, n])[0] for n in range(3)]
plt.close()
[(line.get_color(), line.get_linestyle()) for line in drawn], palette[:2]


# %%
def thousands(value, _position):
    return f"{value / 1000:.0f}{SUFFIX}"


SUFFIX = "k"
axes.yaxis.set_major_formatter(ticker.FuncFormatter(thousands))
axes.set_ylim(0, 4000)
figure.canvas.draw()
[label.get_text() for label in axes.get_yticklabels()]

# %%
SUFFIX = " thousand"
figure.canvas.draw()
[label.get_text() for label in axes.get_yticklabels()][:2]

# %%
grid = plt.figure(layout="constrained")
panels = grid.subplot_mosaic("AB;CC")
for name, panel in panels.items():
    panel.set_title(name)
panels["C"].fill_between(np.arange(5), np.arange(5) ** 2, alpha=0.4)
plt.show()

# %%
mpl.rc("axes", grid=False)
other = plt.figure().add_subplot(projection="polar")
other.plot(np.linspace(0, 7, 50), np.linspace(0, 1, 50))
type(other).__name__, mpl.rcParams["axes.grid"]

# %%
mpl.rcdefaults()
%matplotlib inline
mpl.rcParams["lines.linewidth"], mpl.rcParams["axes.grid"]
