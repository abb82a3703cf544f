"""Charts of a series, as SVG."""
