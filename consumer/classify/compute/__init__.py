"""How a model is computed: engines, threads, precision, devices. Labels nothing."""
