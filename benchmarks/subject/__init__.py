"""What is measured: Cellburst, through its runtime, its channel and its magic."""
