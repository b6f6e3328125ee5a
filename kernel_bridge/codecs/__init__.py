"""How values become bytes and values again; import from the sub-modules."""
