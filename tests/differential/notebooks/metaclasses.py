# %% [markdown]
# # Under the bonnet of classes
# Descriptors, metaclasses, slots, registries.

# %%
registry = {}


class Plugin(type):
    """Registers every class it makes."""

    def __new__(mcls, name, bases, body, **options):
        cls = super().__new__(mcls, name, bases, body)
        if bases:
            registry[options.get("key", name.lower())] = cls
        return cls

    def __init__(cls, name, bases, body, **options):
        super().__init__(name, bases, body)

    def __len__(cls):
        return len(registry)

    def __call__(cls, *args):
        made.append(cls.__name__)
        return super().__call__(*args)


made = []


class Filter(metaclass=Plugin):
    def apply(self, text):
        return text


class Upper(Filter):
    def apply(self, text):
        return text.upper()


class Reverse(Filter, key="backwards"):
    def apply(self, text):
        return text[::-1]


sorted(registry), len(Filter), registry["upper"]().apply("abc"), made

# %%
class Censor(Filter, key="censor"):
    words = ["darn"]

    def apply(self, text):
        for word in self.words:
            text = text.replace(word, "*" * len(word))
        return text


chain = [registry[key]() for key in ("censor", "backwards")]
Censor.words.append("heck")
text = "oh darn heck"
for step in chain:
    text = step.apply(text)
text, made, len(Filter)


# %%
class Positive:
    """A descriptor that checks, and keeps a log of the notebook."""

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, instance, owner=None):
        return self if instance is None else instance.__dict__[self.name]

    def __set__(self, instance, value):
        if value <= 0:
            raise ValueError(f"{self.name} must be positive, not {value}")
        writes.append((self.name, value))
        instance.__dict__[self.name] = value


writes = []


class Box:
    width, height = Positive(), Positive()

    def __init__(self, width, height):
        self.width, self.height = width, height


box = Box(2, 3)
box.width *= 5
box.width, writes, type(Box.height).__name__

# %% raises
box.height = -1

# %%
box.height, vars(box), len(writes)


# %%
class Vector:
    __slots__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __matmul__(self, other):
        return self.x * other.x + self.y * other.y

    def __iadd__(self, other):
        self.x += other.x
        self.y += other.y
        return self

    def __neg__(self):
        return Vector(-self.x, -self.y)

    def __eq__(self, other):
        return (self.x, self.y) == (other.x, other.y)

    def __bool__(self):
        return bool(self.x or self.y)

    def __repr__(self):
        return f"<{self.x},{self.y}>"


v = w = Vector(1, 2)
v += Vector(10, 10)
v is w, w, v @ -w, bool(Vector(0, 0))

# %%
w.x = 0
v, hasattr(v, "__dict__"), Vector.__hash__


# %%
class Singleton:
    _only = None

    def __new__(cls):
        if cls._only is None:
            cls._only = super().__new__(cls)
            cls._only.born = len(made)
        return cls._only


one = Singleton()
made.append("later")
two = Singleton()
one is two, two.born


# %%
class Base:
    def who(self):
        return ["Base"]


class Left(Base):
    def who(self):
        return ["Left", *super().who()]


class Right(Base):
    def who(self):
        return ["Right", *super().who()]


class Both(Left, Right):
    who = lambda self: ["Both", *super(Both, self).who()]


both = Both()
both.who(), [cls.__name__ for cls in Both.__mro__]

# %%
Both.__bases__ = (Right, Left)
both.who(), Singleton() is one

# %%
import types

both.greet = types.MethodType(lambda self, name: f"{type(self).__name__} greets {name}", both)
Dynamic = types.new_class("Dynamic", (Filter,), {"key": "dyn"}, lambda body: body.update(level=3))
both.greet("Eve"), registry["dyn"].level, len(Filter)
