"""What the sidecar is compared with: programs of our own making; the others come as they are."""
