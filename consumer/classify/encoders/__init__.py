"""The models: what each must offer, and the two there are."""
