"""Environment and flags -> frozen Settings, or one BadSettings with every problem."""

from biot_sidecar.settings.loading import allows_remote, load, load_listen, misspelt
from biot_sidecar.settings.values import ListenAddress, Settings, UpstreamUrl

__all__ = ["ListenAddress", "Settings", "UpstreamUrl", "allows_remote", "load", "load_listen", "misspelt"]
