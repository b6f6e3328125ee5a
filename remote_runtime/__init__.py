"""The far end: a control plane that finds containers for sessions, and the agent that runs cells in them."""
