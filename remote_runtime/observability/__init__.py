"""What can be seen of a running control plane: its events, its numbers, its logs."""
