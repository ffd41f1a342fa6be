"""Pictures of the boards as SVG text: the same cells give the same bytes, whatever libraries are installed."""
