"""Labelled posts -> Redis counters -> popularity."""
