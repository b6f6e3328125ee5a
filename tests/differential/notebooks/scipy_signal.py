# %% [markdown]
# # Signals, statistics and an integral or two

# %%
import numpy as np
from scipy import integrate, interpolate, signal, stats

rate = 200
time = np.arange(0, 2, 1 / rate)
rng = np.random.default_rng(2)
np.random.seed(2)  # what `scipy.stats` draws from
clean = np.sin(2 * np.pi * 5 * time)
noisy = clean + 0.5 * np.sin(2 * np.pi * 60 * time) + rng.normal(scale=0.2, size=time.size)
noisy[:4].round(4)

# %%
b, a = signal.butter(4, 15, fs=rate)
zi = signal.lfilter_zi(b, a) * noisy[0]
halves = np.split(noisy, 2)
first, zi = signal.lfilter(b, a, halves[0], zi=zi)
zi.round(4)

# %% [markdown]
# The filter's memory `zi` crosses from one cell to the next, as it would in a live recording.

# %%
second, zi = signal.lfilter(b, a, halves[1], zi=zi)
joined = np.concatenate([first, second])
whole, _ = signal.lfilter(b, a, noisy, zi=signal.lfilter_zi(b, a) * noisy[0])
np.allclose(joined, whole), zi.shape

# %%
frequency, power = signal.periodogram(noisy, rate)
peaks, properties = signal.find_peaks(power, height=0.05)
frequency[peaks], properties["peak_heights"].round(2)

# %%
spline = interpolate.CubicSpline(time[::20], clean[::20])
error = np.abs(spline(time[:360]) - clean[:360]).max()
area = spline.integrate(0, 0.1)
print(f"{error:.4f} {area:.5f}")

# %%
damping = 0.3


def pendulum(_t, state):
    angle, speed = state
    return [speed, -damping * speed - 9.81 * np.sin(angle)]


swing = integrate.solve_ivp(pendulum, (0, 5), [1.0, 0.0], t_eval=np.linspace(0, 5, 6), rtol=1e-8)
swing.y[0].round(4), swing.success

# %%
damping = 3.0
slow = integrate.solve_ivp(pendulum, (0, 5), [1.0, 0.0], t_eval=np.linspace(0, 5, 6), rtol=1e-8)
value, uncertainty = integrate.quad(lambda x: np.exp(-x * x * damping), -np.inf, np.inf)
slow.y[0].round(4), round(value, 8), uncertainty < 1e-6

# %%
groups = [stats.norm(loc=shift, scale=1).rvs(40, random_state=seed) for seed, shift in enumerate((0, 0.1, 1))]
test = stats.ttest_ind(groups[0], groups[2])
anova = stats.f_oneway(*groups)
round(test.pvalue, 6), test.df, round(anova.statistic, 3)

# %%
kernel = stats.gaussian_kde(np.concatenate(groups))
fitted = stats.norm.fit(groups[2])
bell = stats.norm(*fitted)
print(kernel([0, 1]).round(4), bell.ppf([0.05, 0.95]).round(3))

# %%
bell.random_state = 42
draws = bell.rvs(3), bell.rvs(3)
[draw.round(4).tolist() for draw in draws]
