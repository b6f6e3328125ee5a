# %% [markdown]
# # The notebook's memory: `_`, `Out`, `In`

# %%
6 * 7

# %%
_ + 1

# %%
_ * 2, __, ___

# %%
numbers = [1, 2, 3]
numbers

# %%
_.append(4)
numbers, Out[4] is numbers

# %%
Out[1] + Out[2], _1 is Out[1], sorted(Out)[:3]

# %%
len(In), In is _ih, _oh is Out

# %%
quiet = "no output";

# %%
"silenced";

# %%
None

# %%
_, 9 in Out, 10 in Out, len(Out)

# %%
Out[4].append("through Out")
_4 is numbers, numbers

# %%
{"held": numbers}

# %%
_["held"].clear()
_13["held"] is numbers, numbers, Out[5][0]

# %%
_ = "mine"
5

# %%
_, __ if "__" in dir() else None

# %%
del _
"again"

# %%
_

# %%
history = [value for number, value in Out.items() if number < 6]
max(Out), len(In), history[0] + history[1]
