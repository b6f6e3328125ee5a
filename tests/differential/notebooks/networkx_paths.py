# %% [markdown]
# # A railway as a graph

# %%
import networkx as nx

rails = nx.Graph(name="railway")
rails.add_weighted_edges_from([
    ("Alba", "Brook", 4), ("Alba", "Crest", 2), ("Brook", "Crest", 1), ("Brook", "Dale", 5),
    ("Crest", "Dale", 8), ("Crest", "Elm", 10), ("Dale", "Elm", 2), ("Dale", "Fern", 6), ("Elm", "Fern", 3),
])
print(rails)
dict(rails.degree)

# %%
route = nx.shortest_path(rails, "Alba", "Fern", weight="weight")
length = nx.shortest_path_length(rails, "Alba", "Fern", weight="weight")
route, length

# %%
express = rails.copy()
sub = rails.subgraph(["Alba", "Brook", "Crest"])  # a view
rails.remove_edge("Brook", "Crest")
rails["Alba"]["Brook"]["weight"] = 1
list(sub.edges(data="weight")), express.has_edge("Brook", "Crest")

# %%
def tell(start, end):
    """Who is on the way, in the graph as it now is."""
    path = nx.shortest_path(rails, start, end, weight="weight")
    return " > ".join(path)


tell("Alba", "Fern")

# %%
for station in rails:
    rails.nodes[station]["lines"] = []
shared = rails.nodes["Dale"]["lines"]
shared.append("red")
rails.nodes["Elm"]["lines"] = shared
rails.nodes["Elm"]["lines"].append("green")
dict(rails.nodes(data="lines"))

# %%
tree = nx.minimum_spanning_tree(rails)
sorted(tree.edges(data="weight")), nx.is_tree(tree)

# %%
centrality = nx.betweenness_centrality(rails, weight="weight")
busiest = sorted(centrality, key=lambda station: (-centrality[station], station))
[(station, round(centrality[station], 3)) for station in busiest[:3]]

# %%
try:
    rails.add_node("Gorge")
    nx.shortest_path(rails, "Alba", "Gorge")
except nx.NetworkXNoPath as problem:
    print(problem)
rails.number_of_nodes(), [sorted(part) for part in nx.connected_components(rails)]

# %%
social = nx.barabasi_albert_graph(40, 2, seed=10)
groups = nx.community.greedy_modularity_communities(social)
[len(group) for group in groups], nx.diameter(social)

# %% keeps=walk
walk = nx.dfs_edges(rails, "Alba")
first = [next(walk), next(walk)]
rest = list(walk)
first, rest

# %%
order = nx.DiGraph([("shirt", "tie"), ("tie", "jacket"), ("trousers", "shoes"), ("trousers", "belt"), ("belt", "jacket")])
rails.graph["wardrobe"] = order
print(list(nx.lexicographical_topological_sort(order)))
order.add_edge("jacket", "shirt")
nx.find_cycle(rails.graph["wardrobe"])
