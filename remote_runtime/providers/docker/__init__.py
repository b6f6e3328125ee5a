"""Containers of an engine on this host, Docker or Podman, through the Docker Engine API."""
