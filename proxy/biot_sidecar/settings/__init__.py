"""Environment and flags -> frozen Settings, or one BadSettings with every problem."""

from biot_sidecar.settings.loading import allows_remote, load, load_listen, misspelt
from biot_sidecar.settings.values import ListenAddress, Settings, UpstreamProxy, UpstreamUrl

__all__ = [
    "ListenAddress",
    "Settings",
    "UpstreamProxy",
    "UpstreamUrl",
    "allows_remote",
    "load",
    "load_listen",
    "misspelt",
]
