"""How a measurement is taken, judged, kept, compared and shown."""
