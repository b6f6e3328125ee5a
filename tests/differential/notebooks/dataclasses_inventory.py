# %% [markdown]
# # An inventory of dataclasses

# %%
from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import ClassVar

TAX = 0.2


@dataclass
class Item:
    """Something for sale."""

    name: str
    price: float
    tags: list[str] = field(default_factory=list)
    made: ClassVar[int] = 0

    def __post_init__(self):
        Item.made += 1

    @property
    def gross(self) -> float:
        return round(self.price * (1 + TAX), 2)


pen = Item("pen", 1.5, ["small"])
lamp = Item("lamp", 30)
pen, Item.made

# %%
@dataclass(slots=True)
class Line:
    item: Item
    count: int = 1

    def total(self):
        return self.item.gross * self.count


@dataclass
class Basket:
    lines: list[Line] = field(default_factory=list)
    owner: str = "nobody"

    def add(self, item, count=1):
        for line in self.lines:
            if line.item is item:
                line.count += count
                return line
        self.lines.append(Line(item, count))
        return self.lines[-1]

    def __iter__(self):
        return iter(self.lines)


basket = Basket(owner="Kim")
line = basket.add(pen, 4)
basket.add(lamp)
basket.add(pen, 1) is line, line.count

# %%
TAX = 0.0
sum(entry.total() for entry in basket), pen.gross

# %%
pen.price = 2.0
pen.tags.append("blue")
line.item is pen, basket.lines[0].item.tags, [entry.total() for entry in basket]

# %%
cheaper = dataclasses.replace(pen, price=1.0)
cheaper.tags.append("sale")
pen.tags is cheaper.tags, pen.tags, Item.made

# %%
as_dict = dataclasses.asdict(basket)
as_dict["lines"][0]["item"]["name"] = "changed"
print(json.dumps(as_dict, indent=1)[:120])
pen.name

# %%
@dataclass(frozen=True, order=True)
class Version:
    major: int
    minor: int = 0

    def bump(self):
        return dataclasses.replace(self, minor=self.minor + 1)


released = {Version(1): "first", Version(1, 1): "fix"}
released[Version(1).bump()], max(released), Version(1) == Version(1)

# %% raises
Version(2).major = 3

# %%
try:
    line.weight = 3
except AttributeError as problem:
    print(problem)
Line.__slots__

# %%
@dataclass(kw_only=True)
class Deluxe(Item):
    engraving: str = ""
    history: list = field(default_factory=list, repr=False)

    def __post_init__(self):
        super().__post_init__()
        self.history.append(TAX)


gift = Deluxe(name="watch", price=99, engraving="K", tags=pen.tags)
basket.add(gift)
gift, gift.tags is pen.tags, Item.made, [f.name for f in dataclasses.fields(gift)]
