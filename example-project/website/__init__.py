"""The example as a site: its settings, its addresses and its database."""
