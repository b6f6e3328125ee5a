"""Many sessions at once: clients that speak the real protocol, and containers that only pretend to run cells."""
