"""Which values a cell needs, and keeping two namespaces alike; import from the sub-modules."""
