"""Many devices and many machines as one."""
