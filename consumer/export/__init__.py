"""The labelled topic as files for analysts; what is in a file once stays, and nothing is in two."""
