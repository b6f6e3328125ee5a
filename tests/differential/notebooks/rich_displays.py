# %% [markdown]
# # What a value looks like
# Rich representations, displays that are updated, and objects that draw themselves.

# %%
from IPython.display import HTML, JSON, SVG, Latex, Markdown, Math, Pretty, clear_output, display

theme = "plain"


class Swatch:
    """A colour that shows itself."""

    drawn = 0

    def __init__(self, colour):
        self.colour = colour

    def _repr_html_(self):
        type(self).drawn += 1
        return f'<span style="background:{self.colour}">{theme}</span>'

    def __repr__(self):
        return f"Swatch({self.colour})"


red = Swatch("red")
red

# %%
Swatch.drawn, red._repr_html_()

# %%
theme = "bold"
display(red, Swatch("blue"))
Swatch.drawn

# %%
red.colour = "darkred"
[red, {"nested": red}], Swatch.drawn


# %%
class Many:
    def __init__(self, values):
        self.values = values

    def _repr_mimebundle_(self, include=None, exclude=None):
        return {"text/plain": f"Many of {len(self.values)}", "text/markdown": "\n".join(f"* {v}" for v in self.values),
                "application/json": {"values": self.values}}, {"application/json": {"expanded": True}}


many = Many([1, 2])
many

# %%
many.values.append(3)
display(many, metadata={"text/plain": {"note": "third"}})
Markdown("**strong**"), HTML("<hr>")

# %%
Latex(r"$\int_0^1 x\,dx$")

# %%
print("first")
display(Math("a^2"))
print("second")
display({"text/plain": "raw bundle"}, raw=True)
JSON({"a": [1, {"b": None}]})

# %%
handle = display(Pretty("waiting"), display_id="progress")
for step in range(3):
    handle.update(Pretty(f"step {step}"))
kept = handle.display_id
del handle
kept

# %%
for number in range(4):
    clear_output(wait=True)
    print("only the last of", number)

# %%
SVG('<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><circle cx="10" cy="10" r="8"/></svg>')


# %% raises
class Shy:
    def __repr__(self):
        raise RuntimeError("I will not be shown")


class Broken:
    def _repr_html_(self):
        raise KeyError("html")

    def __repr__(self):
        return "but this works"


shy, broken = Shy(), Broken()
broken

# %%
class Pretty2:
    def _repr_pretty_(self, printer, cycle):
        with printer.group(2, "Pretty2(", ")"):
            printer.text(f"theme={theme}")


[Pretty2(), Pretty2()], list(range(30)), {"key": "v" * 70, "other": "w" * 70}

# %%
theme = "last"
display(red, display_id="one-colour")
display(Swatch("gray"), display_id="one-colour", update=True)
Swatch.drawn
