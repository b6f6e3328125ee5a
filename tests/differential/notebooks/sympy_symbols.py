# %% [markdown]
# # Symbols, assumptions and substitution

# %% group=cache
from sympy import (Eq, Function, Matrix, Piecewise, Poly, Rational, Symbol, expand, factor, pprint, primerange, simplify, sqrt,
                   srepr, symbols, sympify)

a, b = symbols("a b", positive=True)
z = Symbol("z")
expression = (a + b) ** 3 / (a + b)
expand(expression), simplify(expression), expression.free_symbols == {a, b}

# %% group=cache
same = Symbol("a", positive=True)
other = Symbol("a")
same is a, same == a, other == a, sqrt(a**2), sqrt(other**2)

# %%
values = {a: 3, b: Rational(1, 2)}
substituted = expression.subs(values)
values[a] = 10
substituted, expression.subs(values), {str(key): value for key, value in values.items()}

# %%
steps = []


def rewrite(expr, *rules):
    """Apply rules one after the other and keep the way."""
    for rule in rules:
        expr = rule(expr)
        steps.append(expr)
    return expr


rewrite(z**4 - 1, factor, lambda e: e.subs(z, a), expand), len(steps)

# %%
pprint(steps[0])
steps[-1] == a**4 - 1, srepr(z + 1)

# %%
absolute = Piecewise((-z, z < 0), (z, True))
[absolute.subs(z, value) for value in (-2, 3)], absolute.diff(z)

# %%
polynomial = Poly(z**3 - 6 * z**2 + 11 * z - 6, z)
roots = sorted(polynomial.nroots(), key=lambda root: float(root))
polynomial.all_coeffs(), [root.round(3) for root in roots], polynomial.degree()

# %%
rotation = Matrix([[0, -1], [1, 0]])
points = [Matrix([1, 0])]
for _ in range(3):
    points.append(rotation * points[-1])
points[-1].T, rotation**4 == Matrix.eye(2)

# %%
points[0][0] = z
alias = points[0]
alias[1] = a
points[0].norm(), points[1]

# %%
def squared(right):
    f = Function("f")
    equation = Eq(f(z) + f(z + 1), right)
    return equation.replace(f, lambda value: value**2), equation.has(f)


squared(z), list(primerange(10, 30))

# %% raises
sympify("2 +* z")

# %%
parsed = sympify("a*q + pi", locals={"a": a})
parsed.subs(a, 2), sorted(str(symbol) for symbol in parsed.free_symbols), parsed.has(a), parsed.has(other)
