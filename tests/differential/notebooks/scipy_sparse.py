# %% [markdown]
# # Sparse matrices and page ranks

# %%
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph, linalg

links = [(0, 1), (0, 2), (1, 2), (2, 0), (3, 2), (3, 4), (4, 3), (5, 4)]
size = 6
adjacency = sparse.lil_array((size, size))
for source, sink in links:
    adjacency[source, sink] = 1
adjacency

# %%
compact = adjacency.tocsr()
compact.indices, compact.indptr, compact.nnz

# %%
weights = compact.data  # the matrix's own memory
weights *= 0.5
compact.sum(), compact.data is weights

# %%
out = np.asarray(compact.sum(axis=1)).ravel()
transition = sparse.diags_array(1 / out) @ compact
rank = np.full(size, 1 / size)
damping = 0.85


def iterate(times):
    """Go on from the rank so far."""
    global rank
    for _ in range(times):
        rank = damping * (transition.T @ rank) + (1 - damping) / size
    return rank.round(4)


iterate(1)

# %%
iterate(10)

# %%
iterate(50), rank.sum().round(10)

# %%
distances, parents = csgraph.dijkstra(compact, indices=5, return_predecessors=True)
count, labels = csgraph.connected_components(compact, connection="strong")
distances, parents, count, labels

# %%
n = 40
laplace = sparse.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(n, n), format="csc")
load = np.zeros(n)
load[n // 2] = 1
bend = linalg.spsolve(laplace, load)
print(bend.max().round(4), bend.argmax())

# %% keeps=solve
solve = linalg.factorized(laplace)
residual = np.abs(laplace @ solve(load) - load).max()
smallest = linalg.eigsh(laplace, k=2, sigma=0, v0=np.ones(n), return_eigenvectors=False)
residual < 1e-10, np.sort(smallest).round(6)

# %%
operator = linalg.LinearOperator((n, n), matvec=lambda v: 2 * v - np.roll(v, 1) * damping)
operator @ np.ones(n)[:n] @ np.ones(n)

# %%
adjacency[5, 0] = 3
adjacency.nnz, compact.nnz, sparse.hstack([compact, adjacency]).shape
