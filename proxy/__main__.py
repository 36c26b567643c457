"""argv -> command; the one place that hands out the process's environment."""
