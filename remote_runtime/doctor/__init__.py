"""`cellburst runtime doctor`: what a host has of what cells need. One file a subject: facts are probed, then judged."""
