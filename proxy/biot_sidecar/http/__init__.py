"""The story of a request, and the Protocols it awaits. No sockets here: net/ implements what ports names."""

from biot_sidecar.http.interfaces import Fetch, LoginObserver, Observer, Rules, Tokens

__all__ = ["Fetch", "LoginObserver", "Observer", "Rules", "Tokens"]
