"""Who gets a container, when it goes away, what becomes of it: decided by pure functions, done by one reconciler."""
