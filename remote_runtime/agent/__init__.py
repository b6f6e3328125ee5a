"""What runs inside a container: zygote, supervisor, agent and kernel child. Small, and apart from the control plane."""
