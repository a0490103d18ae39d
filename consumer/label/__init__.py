"""The worker: Kafka in -> classify -> Kafka out, one transaction per batch."""
