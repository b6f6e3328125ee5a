# %% [markdown]
# # Protocols, generics and annotations

# %%
from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Literal, NamedTuple, Protocol, TypedDict, TypeVar, get_type_hints, overload, runtime_checkable

T = TypeVar("T")
K = TypeVar("K", bound="Shape")


@runtime_checkable
class Drawable(Protocol):
    name: str

    def draw(self) -> str: ...


class Shape(ABC):
    count = 0

    def __init__(self, name: str) -> None:
        self.name = name
        Shape.count += 1

    @abstractmethod
    def area(self) -> float: ...

    def draw(self) -> str:
        return f"<{self.name} {self.area():.2f}>"


class Square(Shape):
    def __init__(self, side: float) -> None:
        super().__init__("square")
        self.side = side

    def area(self) -> float:
        return self.side**2 * UNIT


UNIT = 1
square = Square(3)
isinstance(square, Drawable), square.draw(), Shape.count

# %% raises
Shape("bare")

# %%
UNIT = 100
square.draw(), Square.__abstractmethods__, Shape.__abstractmethods__


# %%
class Stack(Generic[T]):
    """A stack that remembers what it was made of."""

    def __init__(self) -> None:
        self.items: list[T] = []

    def push(self, item: T) -> Stack[T]:
        self.items.append(item)
        return self

    def pop(self) -> T:
        return self.items.pop()


stack = Stack[int]()
stack.push(1).push(2)
stack.pop(), stack.items, stack.__orig_class__

# %%
shapes: Stack[Shape] = Stack()
shapes.push(square).push(Square(1))
top = shapes.pop()
top.draw(), shapes.items[0] is square, Shape.count


# %%
class Reading(NamedTuple):
    """One value of a sensor."""

    sensor: str
    value: float = 0.0

    @property
    def hot(self) -> bool:
        return self.value > THRESHOLD


class Config(TypedDict, total=False):
    mode: Literal["fast", "slow"]
    shape: Square


THRESHOLD = 30
readings = [Reading("a", 31), Reading("b")]
config: Config = {"mode": "fast", "shape": square}
[reading.hot for reading in readings], readings[0]._replace(value=5), config["shape"] is square

# %%
hints = get_type_hints(Config), get_type_hints(Square.__init__)
hints[0]["shape"] is Square, hints[1], Reading._field_defaults


# %%
def largest(things: list[K]) -> K:
    return max(things, key=lambda thing: thing.area())


@overload
def double(value: int) -> int: ...
@overload
def double(value: str) -> str: ...
def double(value):
    return value * 2


largest([square, top]) is square, double(4), double("ab"), dict(largest.__annotations__)


# %%
def handle(message):
    match message:
        case {"kind": "move", "to": (x, y)}:
            return f"move to {x},{y}"
        case Reading(sensor, value) if value > THRESHOLD:
            return f"{sensor} is hot"
        case [first, *rest]:
            return f"{first} and {len(rest)} more"
        case Square(side=side) | Reading(value=side):
            return f"about {side}"
        case str() as text:
            return text.upper()
        case _:
            return "?"


[handle(message) for message in ({"kind": "move", "to": (1, 2)}, readings[0], [1, 2, 3], square, readings[1], "hi", None)]

# %%
THRESHOLD = 100
square.side = 7
handle(readings[0]), handle(square), top.area()
