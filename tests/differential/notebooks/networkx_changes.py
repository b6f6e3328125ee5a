# %% [markdown]
# # A network that changes
# People meet, quarrel and move; attributes hold objects of the notebook.

# %%
import random

import networkx as nx


class Person:
    """A node; equal and hashed by name."""

    def __init__(self, name):
        self.name, self.mood = name, 0

    def __hash__(self):
        return hash(self.name)

    def __eq__(self, other):
        return isinstance(other, Person) and other.name == self.name

    def __repr__(self):
        return f"{self.name}{self.mood:+d}"


people = [Person(name) for name in ("ann", "bob", "cat", "dan", "eva")]
friends = nx.Graph()
friends.add_nodes_from(people, since=2020)
nx.add_path(friends, people, strength=1)
friends

# %%
ann, bob, *_rest = people
ann.mood += 2
list(friends)[0] is ann, Person("ann") in friends, list(friends.neighbors(Person("bob")))

# %%
friends.edges[ann, bob]["strength"] = 5
view = friends.adj[ann]
friends.add_edge(ann, people[3], strength=2)
dict(view)

# %%
rng = random.Random(3)


def meet():
    """Two people meet; the notebook's generator says who."""
    one, other = rng.sample(people, 2)
    one.mood += 1
    edge = friends.get_edge_data(one, other)
    if edge is None:
        friends.add_edge(one, other, strength=1)
    else:
        edge["strength"] += 1
    return one, other


[meet() for _ in range(4)]

# %%
meetings = [meet() for _ in range(10)]
sorted((person.name, person.mood) for person in friends), friends.number_of_edges()

# %%
strongest = max(friends.edges(data="strength"), key=lambda edge: (edge[2], edge[0].name))
matrix = nx.to_numpy_array(friends, weight="strength")
strongest, matrix.sum()

# %%
friends.remove_node(Person("cat"))
try:
    friends.remove_edge(ann, people[2])
except nx.NetworkXError as problem:
    print(type(problem).__name__)
len(friends), people[2].mood

# %%
relabelled = nx.relabel_nodes(friends, {person: person.name for person in friends})
relabelled.edges["ann", "bob"] is friends.edges[ann, bob], sorted(relabelled)

# %%
layout = nx.spring_layout(relabelled, seed=1)
{name: point.round(2).tolist() for name, point in sorted(layout.items())}

# %%
%matplotlib inline
import matplotlib.pyplot as plt

plt.figure(figsize=(3, 2))
nx.draw(relabelled, layout, node_size=100, with_labels=True)
plt.show()

# %%
multi = nx.MultiDiGraph()
keys = [multi.add_edge("x", "y", note=note) for note in ("first", "second")]
multi.edges["x", "y", 1]["note"] = ann
keys, dict(multi["x"]["y"]), multi.edges["x", "y", 1]["note"] is people[0]

# %%
ann.mood = -9
multi.edges["x", "y", 1]["note"], list(friends)[0]
