"""What runs in the kernel of a notebook under test: after each cell the structure of its namespace is written down."""
