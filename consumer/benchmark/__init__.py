"""The role `benchmark`: how fast the pipeline is beside the bare model on the same machine, in the same run."""
