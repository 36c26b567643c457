"""The wire: what comes from the plugin, what goes to BioT, and back."""
