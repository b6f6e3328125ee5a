"""The kernel's walls: namespaces, mounts, privileges, system call filters. Standard library only."""
