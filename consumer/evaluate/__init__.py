"""The talk's experiments on a dataset of one's own, without Kafka.

Its wings in order, each of which knows only those before it: ``pages`` (what all pages and figures share), ``scores``,
``samples``, ``stats``, ``marks``, ``curves``, ``report``.
"""
