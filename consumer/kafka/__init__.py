"""Everything about Kafka that belongs to no role."""
