"""Image recipes become environments: uv virtual environments and package layers, named by their content."""
