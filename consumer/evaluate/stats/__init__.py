"""Intervals and tables that every figure rests on."""
