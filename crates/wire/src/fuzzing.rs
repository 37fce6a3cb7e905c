//! Owns entry points of the fuzz targets.
