"""A small module beside the notebook."""

CURRENCY = "EUR"
sold = []


class Product:
    """Something with a price."""

    def __init__(self, name, price):
        self.name, self.price = name, price

    def label(self):
        return f"{self.name}: {self.price:.2f} {CURRENCY}"


def sell(product):
    sold.append(product)
    return len(sold)
