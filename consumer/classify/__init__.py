"""From a picture and a caption to a place. Pure: knows nothing of Kafka or Redis."""
