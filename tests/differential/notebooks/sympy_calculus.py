# %% [markdown]
# # Calculus on paper, by machine

# %% group=printing
import sympy as sp

sp.init_printing(use_latex="mathjax")
x, y = sp.symbols("x y", real=True)
n = sp.Symbol("n", integer=True, positive=True)
f = sp.sin(x) * sp.exp(-x / 2)
f

# %% group=printing
derivative = sp.diff(f, x)
sp.simplify(derivative)

# %% group=printing
area = sp.integrate(f, (x, 0, sp.pi))
area, area.evalf(8)

# %% group=printing
series = sp.series(f, x, 0, 4)
series

# %% group=printing
solutions = sp.solve([x**2 + y**2 - 25, x - y - 1], [x, y])
print(solutions)
[pair[0].is_integer for pair in solutions]

# %% group=printing
cache = {}


def taylor(order):
    """The polynomial of an order; kept, since the next one starts from it."""
    if order not in cache:
        previous = taylor(order - 1) if order else sp.Integer(0)
        cache[order] = previous + f.diff(x, order).subs(x, 0) * x**order / sp.factorial(order)
    return cache[order]


taylor(3)

# %% group=printing
len(cache), taylor(4) - taylor(3), cache[3] is taylor(3)

# %% group=printing
matrix = sp.Matrix([[2, 1], [1, n]])
matrix[0, 1] = y
print(matrix.det())
matrix.inv()

# %% group=printing
matrix.row_op(0, lambda value, column: value * n)
matrix, matrix.shape, matrix.free_symbols == {y, n}

# %% group=printing
fast = sp.lambdify(x, f, "math")
[round(fast(value), 6) for value in (0, 1, 2)]

# %% group=printing
def oscillator(square):
    g = sp.Function("g")
    equation = sp.Eq(g(x).diff(x, 2) + square * g(x), 0)
    display(equation)
    return sp.dsolve(equation).rhs


answer = oscillator(4)
answer

# %% group=printing
limit = sp.limit((1 + 1 / n) ** n, n, sp.oo)
total = sp.summation(1 / n**2, (n, 1, sp.oo))
print(limit, total, sp.latex(total))
x == sp.Symbol("x", real=True), x == sp.Symbol("x")
