"""The program on networks as customers have them, each in a network namespace of its own: `make test-network`."""
