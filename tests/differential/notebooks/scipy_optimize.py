# %% [markdown]
# # Fitting and minimising
# Functions of the notebook handed to SciPy, which calls them back; they count their calls.

# %%
import numpy as np
from scipy import optimize

calls = 0
trail = []


def rosenbrock(point):
    global calls
    calls += 1
    x, y = point
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def remember(point):
    trail.append(point.copy())


start = np.array([-1.2, 1.0])
rosenbrock(start), calls

# %%
simplex = optimize.minimize(rosenbrock, start, method="Nelder-Mead", callback=remember)
simplex.success, simplex.x.round(3), len(trail) > 10

# %%
gradient = optimize.minimize(rosenbrock, start, jac=optimize.rosen_der, method="BFGS")
print(gradient.message)
print(gradient.x.round(4), simplex.nfev + gradient.nfev + 1 == calls)


# %%
def wave(t, amplitude, frequency, phase):
    return amplitude * np.sin(2 * np.pi * frequency * t + phase)


rng = np.random.default_rng(8)
t = np.linspace(0, 1, 120)
signal = wave(t, 2.0, 3.0, 0.5) + rng.normal(scale=0.1, size=t.size)
found, covariance = optimize.curve_fit(wave, t, signal, p0=[1.5, 2.8, 0.2])
found.round(2), np.sqrt(np.diag(covariance)).round(3)

# %%
offset = 2.0
polynomial = np.polynomial.Polynomial([-offset, 0, 1])


def shifted(x):
    return x * x - offset


root = optimize.brentq(shifted, 0, 3)
print(f"{root:.10f}", polynomial.roots().round(6))

# %%
offset = 3.0
roots = {}
for offset in (2.0, 3.0, 5.0):
    roots[offset] = optimize.brentq(shifted, 0, 3)
offset, {key: round(value, 6) for key, value in roots.items()}

# %%
try:
    optimize.brentq(shifted, 10, 20)
except ValueError as problem:
    print(problem)


# %%
class Spring:
    """An energy with state: how stiff it is may change between two runs."""

    def __init__(self, stiffness):
        self.stiffness = stiffness
        self.evaluations = 0

    def __call__(self, x):
        self.evaluations += 1
        return float(self.stiffness * (x[0] - 1) ** 2 + x[0])


spring = Spring(1.0)
soft = optimize.minimize(spring, [0.0]).x[0]
used = spring.evaluations
spring.stiffness = 10
stiff = optimize.minimize(spring, [0.0]).x[0]
round(soft, 3), round(stiff, 3), spring.evaluations > used

# %%
cost = np.array([[4, 1, 3], [2, 0, 5], [3, 2, 2]])
rows, columns = optimize.linear_sum_assignment(cost)
plan = optimize.linprog([-1, -2], A_ub=[[1, 1], [3, 1]], b_ub=[4, 6])
cost[rows, columns].sum(), plan.x.round(6), plan.status

# %%
bounds = [(-5, 5)] * 2
result = optimize.differential_evolution(rosenbrock, bounds, seed=4, maxiter=30, polish=False)
result.fun < 1.0, result.nit
