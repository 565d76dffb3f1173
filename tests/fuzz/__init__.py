"""Fuzz targets for the codec and the broker."""
