"""The inspector: a page that shows requests live. Imported only when it is switched on (SIDECAR_INSPECT=1)."""
