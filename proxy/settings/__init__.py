"""Environment and flags -> frozen Settings, or one BadSettings with every problem."""

from proxy.settings.read import allows_remote, load, load_listen, misspelt
from proxy.settings.values import Address, Settings, Upstream

__all__ = ["Address", "Settings", "Upstream", "allows_remote", "load", "load_listen", "misspelt"]
