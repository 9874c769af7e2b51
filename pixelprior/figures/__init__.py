"""Image sheets, plots and SVG charts."""
