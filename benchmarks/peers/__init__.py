"""Who else does it, and what the machine could do at all. One file each."""
