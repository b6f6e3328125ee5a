# %% [markdown]
# # Cards: enumerations and combinations

# %%
import itertools
from enum import Enum, Flag, IntEnum, auto, unique


@unique
class Suit(Enum):
    CLUBS = "♣"
    DIAMONDS = "♦"
    HEARTS = "♥"
    SPADES = "♠"

    @property
    def red(self):
        return self in RED


class Rank(IntEnum):
    SEVEN = 7
    EIGHT = 8
    NINE = 9
    TEN = 10
    JACK = auto()
    QUEEN = auto()
    KING = auto()
    ACE = auto()


RED = {Suit.HEARTS, Suit.DIAMONDS}
Suit.HEARTS.red, Suit("♣"), Rank.ACE > Rank.TEN, list(Suit)

# %%
deck = list(itertools.product(Suit, Rank))
trump = Suit.SPADES
len(deck), deck[0], deck[-1][0] is trump

# %%
import random

random.seed("cards")
random.shuffle(deck)
hands = {name: [deck.pop() for _ in range(5)] for name in ("north", "south")}
{name: " ".join(f"{suit.value}{rank}" for suit, rank in hand) for name, hand in hands.items()}


# %%
def strength(card):
    suit, rank = card
    return (suit is trump, rank)


best = max(hands["north"], key=strength)
trump = hands["south"][0][0]
again = max(hands["north"], key=strength)
best, again, trump

# %%
for suit, cards in itertools.groupby(sorted(hands["south"], key=lambda card: card[0].name), key=lambda card: card[0]):
    print(suit.name.lower(), [rank.name for _, rank in cards])
del cards

# %%
pairs = [pair for pair in itertools.combinations(hands["north"], 2) if pair[0][1] == pair[1][1]]
runs = list(itertools.pairwise(sorted({rank for _, rank in hands["north"] + hands["south"]})))
len(pairs), runs[:2]


# %%
class Access(Flag):
    READ = auto()
    WRITE = auto()
    RUN = auto()
    ALL = READ | WRITE | RUN


rights = Access.READ | Access.RUN
rights &= ~Access.READ
rights, Access.WRITE in Access.ALL, bool(rights & Access.WRITE), (rights | Access.WRITE).name

# %%
Suit.HEARTS.points = 10
members = {suit: [] for suit in Suit}
members[Suit.HEARTS].append("queen")
Suit["HEARTS"].points, members

# %% raises
Suit("X")

# %%
Colour = Enum("Colour", "RED GREEN BLUE")
turn = itertools.cycle(Colour)
order = [next(turn).name for _ in range(4)]
order, Colour.GREEN.value

# %%
next(turn), list(itertools.accumulate([1, 2, 3, 4], lambda a, b: a * b)), list(itertools.starmap(pow, [(2, 5), (3, 2)]))
