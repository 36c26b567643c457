"""The commands: a file for each, by its name, and what several of them share."""
