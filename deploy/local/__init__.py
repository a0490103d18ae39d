"""A real Kafka broker and a real Redis for one machine: no Docker, no system JDK, nothing left behind."""
