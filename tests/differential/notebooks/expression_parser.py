# %% [markdown]
# # A calculator language in one notebook
# Tokens, a tree, an evaluator; extended while it is in use.

# %%
import operator
import re
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(r"\s*(?:(?P<number>\d+\.?\d*)|(?P<name>[a-z]\w*)|(?P<op>.))")
variables = {"pi": 3.14159}
functions = {}


def tokenize(source):
    position = 0
    while position < len(source.rstrip()):
        match = TOKEN.match(source, position)
        position = match.end()
        yield match.lastgroup, match[match.lastgroup]
    yield "end", ""


list(tokenize("2 * (r1 + 3.5)"))


# %%
class Node:
    pass


@dataclass
class Number(Node):
    value: float

    def run(self):
        return self.value


@dataclass
class Name(Node):
    name: str

    def run(self):
        return variables[self.name]


@dataclass
class Binary(Node):
    op: str
    left: Any
    right: Any

    def run(self):
        return OPERATORS[self.op](self.left.run(), self.right.run())


@dataclass
class Call(Node):
    name: str
    argument: Any

    def run(self):
        return functions[self.name](self.argument.run())


OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
Binary("+", Number(1), Name("pi")).run()


# %%
class Parser:
    """Precedence climbing; the tables are the notebook's globals."""

    parsed = 0

    def __init__(self, source):
        self.tokens = list(tokenize(source))

    def next(self):
        return self.tokens.pop(0)

    def expression(self, floor=1):
        left = self.atom()
        while (op := self.tokens[0][1]) in PRECEDENCE and PRECEDENCE[op] >= floor:
            self.next()
            left = Binary(op, left, self.expression(PRECEDENCE[op] + 1))
        return left

    def atom(self):
        kind, text = self.next()
        match kind, text:
            case "number", _:
                return Number(float(text))
            case "name", _ if self.tokens[0][1] == "(":
                return Call(text, self.atom())
            case "name", _:
                return Name(text)
            case "op", "(":
                inner = self.expression()
                self.next()
                return inner
        raise SyntaxError(f"unexpected {text!r}")

    @classmethod
    def parse(cls, source):
        cls.parsed += 1
        return cls(source).expression()


def calculate(source):
    return Parser.parse(source).run()


calculate("2 + 3 * 4"), calculate("(2 + 3) * 4 - 10 / 4"), Parser.parsed

# %%
tree = Parser.parse("pi * r * r")
variables["r"] = 2
areas = [tree.run()]
variables["r"] = 10
areas.append(tree.run())
areas, tree

# %% raises
calculate("2 + * 3")

# %% raises
calculate("radius + 1")

# %%
OPERATORS["^"] = operator.pow
PRECEDENCE["^"] = 3
functions["half"] = lambda value: value / 2
calculate("half(2 ^ 3 * 4) + 1")


# %%
def optimise(node):
    """Fold constants; the tree is changed in place."""
    if isinstance(node, Binary):
        node.left, node.right = optimise(node.left), optimise(node.right)
        if isinstance(node.left, Number) and isinstance(node.right, Number):
            return Number(node.run())
    return node


program = Parser.parse("r + 2 * 3 ^ 2")
optimise(program) is program, program, program.run()

# %%
shared = Parser.parse("r + 1")
twice = Binary("*", shared, shared)
shared.right.value = 5
twice.left is twice.right, twice.run(), Parser.parsed

# %%
def to_text(node):
    match node:
        case Binary(op, left, right):
            return f"({to_text(left)} {op} {to_text(right)})"
        case Number(value):
            return f"{value:g}"
        case Name(name):
            return name
        case Call(name, argument):
            return f"{name}[{to_text(argument)}]"


Node.__str__ = to_text
print(twice, program, Parser.parse("half(1 + r)"), sep="\n")
