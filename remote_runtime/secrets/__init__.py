"""Values that must not be seen: encrypted at rest, struck from output and logs."""
