# %% [markdown]
# # Learning from a stream
# Batches arrive in separate cells; the model goes on from where it was.

# %%
import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import SGDClassifier

source = np.random.RandomState(5)
centres = np.array([[0, 0], [4, 4], [0, 5]])
seen = 0


def batch(size=60):
    """The next points of the stream, and which cloud each is from."""
    global seen
    labels = source.randint(3, size=size)
    seen += size
    return centres[labels] + source.normal(scale=0.7, size=(size, 2)), labels


points, labels = batch()
points[:2].round(3), labels[:8]

# %%
clouds = MiniBatchKMeans(n_clusters=3, random_state=0, n_init=1)
clouds.partial_fit(points)
judge = SGDClassifier(random_state=0, loss="log_loss")
judge.partial_fit(points, labels, classes=[0, 1, 2])
log = [(seen, judge.score(*batch()))]
log

# %%
for _ in range(5):
    points, labels = batch()
    clouds.partial_fit(points)
    judge.partial_fit(points, labels)
    log.append((seen, judge.score(*batch())))
judge.t_, len(log), seen

# %%
order = np.lexsort(clouds.cluster_centers_.T.round(0))
clouds.cluster_centers_[order].round(1)

# %%
models = {"clouds": clouds, "judge": judge, "latest": judge}
points, labels = batch(200)
models["latest"].partial_fit(points, labels)
print(judge.t_, models["judge"] is judge)

# %% [markdown]
# The clouds drift: one centre moves and the model has to follow.

# %%
centres[0] = [2, -3]
drift = [judge.score(*batch(100))]
for _ in range(8):
    judge.partial_fit(*batch())
    drift.append(judge.score(*batch(100)))
print("recovered" if drift[-1] > drift[0] else "lost", [round(score, 2) for score in drift])

# %%
%matplotlib inline
import matplotlib.pyplot as plt

points, labels = batch(150)
figure, axes = plt.subplots(figsize=(3, 3))
axes.scatter(*points.T, c=labels, s=8)
axes.scatter(*clouds.cluster_centers_.T, marker="x", color="black")
plt.show()

# %%
state = source.get_state()[2], seen, round(float(judge.coef_.sum()), 6)
state
