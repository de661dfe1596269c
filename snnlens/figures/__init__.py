"""The style, and artists that take an Axes. No torch."""
