"""What Cellburst promises, measured beside its peers and beside what this machine can do at all."""
