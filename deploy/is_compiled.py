"""Ends with 1 unless the installed package's forwarding path is compiled."""

import sys

from biot_sidecar.http import proxy

print(proxy.__file__)
sys.exit(not proxy.__file__.endswith((".so", ".pyd")))
