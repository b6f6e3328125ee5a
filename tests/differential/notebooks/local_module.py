# %% [markdown]
# # Code and data beside the notebook
# A module, a package and a table in the notebook's folder.

# %% group=module
import csv

import shop
import tools
from shop import Product, sell

with open("stock.csv") as file:
    rows = [(row["name"], float(row["price"]), int(row["count"])) for row in csv.DictReader(file)]
del file
products = [Product(name, price) for name, price, _ in rows]
products[0].label(), tools.total(rows)

# %% group=module
sell(products[1]), sell(products[0])

# %% group=module
len(shop.sold), shop.sold[0] is products[1], tools.numbers.calls

# %% group=module
shop.CURRENCY = "USD"
[product.label() for product in products]

# %% group=module
products[2].label(), isinstance(products[0], Product), Product is shop.Product

# %% group=module
def raise_prices(percent):
    for product in products:
        product.price = round(product.price * (1 + percent / 100), 2)


raise_prices(10)
products[0].label(), shop.sold[1].price


# %% group=module
class Discounted(Product):
    def label(self):
        return super().label() + " (sale)"


products.append(Discounted("lamp", 20))
sell(products[-1]), shop.sold[-1].label()

# %%
import pandas as pd

table = pd.read_csv("stock.csv", index_col="name")
table["value"] = table["price"] * table["count"]
table

# %% group=module
table.to_csv("stock_value.csv")
again = pd.read_csv("stock_value.csv")
again.equals(table.reset_index()), tools.total(rows), tools.numbers.calls

# %% group=module
from tools import numbers

numbers.calls, numbers is tools.numbers, shop.__name__, len(shop.sold)
