# %% [markdown]
# # Linear regression by gradient descent
# No library does the work: the loop, its history and the stopping rule are ours.

# %%
import numpy as np

rng = np.random.default_rng(20240229)
features = rng.normal(size=(400, 3))
truth = np.array([1.5, -2.0, 0.75])
target = features @ truth + 0.3 + rng.normal(scale=0.05, size=400)
features.shape, target[:3].round(4)

# %%
weights = np.zeros(3)
bias = 0.0
history = []
learning_rate = 0.1


def predict(rows):
    return rows @ weights + bias


def loss():
    return float(np.mean((predict(features) - target) ** 2))


round(loss(), 6)


# %%
def step():
    """One step downhill; changes the notebook's `weights` in place and rebinds its `bias`."""
    global bias
    error = predict(features) - target
    weights[:] -= learning_rate * 2 * features.T @ error / len(target)
    bias -= learning_rate * 2 * error.mean()
    history.append(loss())


step()
weights.round(4), round(bias, 4)

# %%
for _ in range(20):
    step()
print(f"after {len(history)} steps: {history[-1]:.8f}")

# %% [markdown]
# A smaller rate from here on. `step` reads the global, so there is nothing to pass.

# %%
learning_rate = 0.02
before = weights  # not a copy
while len(history) < 2 or history[-2] - history[-1] > 1e-7:
    step()
print(len(history), before is weights)
weights.round(3)

# %%
%matplotlib inline
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(4, 2.5))
axes.semilogy(history)
axes.set_xlabel("step")
axes.set_title("mean squared error");

# %%
exact, residual, rank, _singular = np.linalg.lstsq(np.c_[features, np.ones(len(target))], target, rcond=None)
print("rank", rank, "difference", np.abs(exact - np.r_[weights, bias]).max() < 5e-3)

# %%
mask = np.abs(predict(features) - target) > 0.1
outliers = features[mask]
target[mask] = predict(features)[mask]
print(mask.sum(), "pulled in; loss now", f"{loss():.6f}")
outliers[:2].round(3)
