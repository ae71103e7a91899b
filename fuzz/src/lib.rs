//! Fuzz targets of Loft.
