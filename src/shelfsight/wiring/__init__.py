"""Chooses an implementation of each interface by the settings, and imports it when it is needed."""
