"""Where containers come from: four verbs, and handles that survive a restart."""
