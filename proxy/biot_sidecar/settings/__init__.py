"""Environment and flags -> frozen Settings, or one BadSettings with every problem."""

from biot_sidecar.settings.read import allows_remote, load, load_listen, misspelt
from biot_sidecar.settings.values import Address, Settings, Upstream

__all__ = ["Address", "Settings", "Upstream", "allows_remote", "load", "load_listen", "misspelt"]
