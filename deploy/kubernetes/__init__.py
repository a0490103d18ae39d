"""How Placestream runs on Kubernetes: manifests, and what writes one of them."""
