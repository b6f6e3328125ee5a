# %% [markdown]
# # Interactive charts as data
# A Plotly figure is a tree of dictionaries; every cell changes a branch.

# %%
import numpy as np
import pandas as pd
import plotly.express as px
import plotly.graph_objects as go
import plotly.io as pio

pio.renderers.default = "json"
rng = np.random.default_rng(6)
people = pd.DataFrame({"height": rng.normal(172, 8, 30).round(1), "team": rng.choice(["red", "blue"], 30)})
people["weight"] = (people["height"] * 0.9 - 90 + rng.normal(0, 4, 30)).round(1)
people.head(3)

# %%
figure = px.scatter(people, x="height", y="weight", color="team", title="people")
[trace.name for trace in figure.data], figure.layout.title.text

# %%
figure.update_traces(marker_size=9, selector={"name": "red"})
figure.update_layout(width=400, height=300, title=None)
sizes = {trace.name: trace.marker.size for trace in figure.data}
sizes

# %%
line = go.Scatter(x=[150, 190], y=[50, 85], mode="lines", name="guide")
figure.add_trace(line)
figure.data[-1] is line, len(figure.data)

# %%
guide = figure.data[-1]
guide.line.color = "black"
figure.add_hline(y=70)
figure.to_dict()["data"][-1]["line"], len(figure.layout.shapes)

# %%
small = go.Figure(go.Bar(x=["a", "b"], y=[2, 5]), layout={"height": 200})
small

# %%
small.data[0].y = [7, 1]
small.add_annotation(text="swapped", x=0, y=7)
small.show()


# %%
def histogram(column, bins=5):
    counts, edges = np.histogram(people[column], bins=bins)
    return go.Figure(go.Bar(x=edges[:-1].round(1), y=counts, name=column))


charts = {column: histogram(column) for column in ("height", "weight")}
[int(chart.data[0].y.sum()) for chart in charts.values()]

# %%
try:
    figure.update_layout(colour="red")
except ValueError as problem:
    print(str(problem).split("\n")[0])

# %%
from plotly.subplots import make_subplots

grid = make_subplots(rows=1, cols=2, shared_yaxes=True)
for position, (column, chart) in enumerate(charts.items(), start=1):
    grid.add_trace(chart.data[0], row=1, col=position)
text = grid.to_json()
grid.layout.xaxis2.anchor, len(pio.from_json(text).data)
