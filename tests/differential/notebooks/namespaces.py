# %% [markdown]
# # Where names live
# Globals, locals, builtins; `eval` and `exec`; names made at run time.

# %%
rate = 3


def cost(hours):
    return hours * rate


def set_rate(value):
    global rate, previous
    previous, rate = rate, value


cost(2), "previous" in globals()

# %%
set_rate(10)
cost(2), previous

# %%
for name, value in {"alpha": 1, "beta": [2]}.items():
    globals()[name] = value
exec("gamma = alpha + beta[0]\nbeta.append(gamma)")
gamma, beta, eval("alpha * 100 + rate")

# %%
sandbox = {"alpha": 1000, "seen": []}
exec("delta = alpha + 1\nseen.append(delta)\ndef inner():\n    return delta * 2", sandbox)
sandbox["inner"](), "delta" in globals(), sandbox["seen"], alpha

# %%
sandbox["delta"] = 0
sandbox["inner"]()


# %%
def outer():
    label = "enclosing"

    def show():
        return label, eval("rate"), sorted(locals())

    class Inside:
        label = "class body"
        seen = [label for _ in range(1)]

        def method(self):
            return label

    return show(), Inside.seen, Inside().method()


label = "global"
outer()

# %%
sum = lambda values: "my own sum"
shadowed = sum([1, 2]), max([1, 2])
shadowed

# %%
sum([3, 4]), [len(str(sum)) > 3, callable(sum)]

# %%
del sum
sum([3, 4])

# %%
squares = [number * number for number in range(4)]
"number" in dir(), [last := value for value in squares][-1], last

# %%
temporary = "short-lived"
del temporary, alpha

# %% raises
temporary

# %% raises
cost(alpha)

# %%
import __main__

__main__.injected = "through the module"
getattr(__main__, "rate"), injected, __name__

# %%
code = compile("[rate, injected, beta]", "<lesson>", "eval")
result = eval(code)
result[2] is beta, vars()["rate"], dir(__main__).count("injected")


# %%
class Settings:
    def __getattr__(self, name):
        try:
            return globals()[f"setting_{name}"]
        except KeyError:
            raise AttributeError(f"no setting {name}") from None


setting_depth = 5
settings = Settings()
settings.depth, hasattr(settings, "width")

# %%
setting_width = settings.depth * 2
settings.width, {key: value for key, value in globals().items() if key.startswith("setting_")}
