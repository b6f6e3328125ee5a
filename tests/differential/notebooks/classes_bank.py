# %% [markdown]
# # Objects: a bank in a notebook
# Inheritance, class attributes, properties and operators.

# %%
class Account:
    """An account; every account is known to the class."""

    rate = 0.01
    known = []

    def __init__(self, owner, balance=0):
        self.owner = owner
        self._balance = balance
        Account.known.append(self)

    @property
    def balance(self):
        return round(self._balance, 2)

    @balance.setter
    def balance(self, value):
        if value < 0:
            raise ValueError(f"{self.owner} cannot owe {-value}")
        self._balance = value

    def __repr__(self):
        return f"{type(self).__name__}({self.owner!r}, {self.balance})"

    def __add__(self, other):
        return Account(f"{self.owner} & {other.owner}", self.balance + other.balance)

    def interest(self):
        self.balance += self.balance * self.rate
        return self


ann = Account("Ann", 100)
bob = Account("Bob")
ann, bob, len(Account.known)


# %%
class Savings(Account):
    rate = 0.05
    log = []

    def interest(self):
        self.log.append(self.owner)
        return super().interest()


cat = Savings("Cat", 1000)
cat.interest().interest()

# %%
Account.rate = 0.02
ann.interest()
[account.balance for account in Account.known], Savings.log

# %%
try:
    bob.balance = -5
except ValueError as problem:
    print("refused:", problem)
bob.balance += 5
joint = ann + bob
joint, Account.known[-1] is joint

# %% raises
ann.balance -= 1_000

# %%
ann.balance


# %%
def audit(self):
    return f"{self.owner}: {self.balance:>10.2f}"


Account.audit = audit
Savings.bonus = property(lambda self: self.balance // 100)
for account in Account.known:
    print(account.audit())
cat.bonus

# %%
class Bank:
    def __init__(self, *accounts):
        self._accounts = {account.owner: account for account in accounts}

    def __getitem__(self, owner):
        return self._accounts[owner]

    def __getattr__(self, name):
        if name.startswith("total_"):
            return sum(getattr(account, name[6:]) for account in self._accounts.values())
        raise AttributeError(name)

    def __len__(self):
        return len(self._accounts)

    def __contains__(self, owner):
        return owner in self._accounts


bank = Bank(ann, bob, cat)
bank["Ann"] is ann, "Zed" in bank, len(bank), bank.total_balance

# %%
bank["Ann"].balance = 0
ann.nickname = "A."
[vars(account) for account in Account.known[:2]], bank.total_balance

# %%
Savings.__mro__[1:], issubclass(Savings, Account), isinstance(cat, Account), hasattr(bank, "missing")
