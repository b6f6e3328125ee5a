"""The wire, as data: no I/O and no pickle below this line."""
