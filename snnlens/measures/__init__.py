"""Formulas over arrays: numpy in, numbers out."""
