"""The talk's experiments on a dataset of one's own: scores, samples, marks, curves, a report. No Kafka."""
