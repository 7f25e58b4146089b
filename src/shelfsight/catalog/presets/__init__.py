"""Presets: how the catalogue of each shop platform is read, as files of named SELECTs."""
