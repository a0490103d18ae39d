"""A conversion of OpenVINO's in int8, made by NNCF in a process of its own: that package changes logging and torch.

`python -m consumer.classify.compute.quantise PLAIN.xml INPUTS.npz QUANTISED.xml`, started by `engine.py`.
"""

import sys
from typing import Any

import numpy as np

from consumer.classify.compute.engine import import_openvino


def main(plain: str, inputs: str, quantised: str) -> None:
    """Fit a conversion's large matrix products to inputs of one row; attention and convolutions stay as they are.

    Args:
        plain: the conversion.
        inputs: arrays as numpy saved them.
        quantised: where the result goes.
    """
    openvino = import_openvino()
    import nncf  # afterwards: it would report its use over the network
    from nncf.quantization.range_estimator import RangeEstimatorParametersSet

    with np.load(inputs) as arrays:
        rows = [arrays[name] for name in arrays.files]
    model = openvino.Core().read_model(plain)
    model = nncf.quantize(
        model,
        nncf.Dataset(rows),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(rows),
        ignored_scope=nncf.IgnoredScope(
            names=_small_products(model),
            types=["ScaledDotProductAttention", "Convolution", "GroupConvolution"],
            validate=False,
        ),
        # From the least to the greatest number seen: a trained vision transformer has few that are very large, and
        # NNCF's own choice, the means of each picture's least and greatest, cuts them off.
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX
        ),
    )
    openvino.save_model(model, quantised, compress_to_fp16=False)


def _small_products(model: Any) -> list[str]:
    """Matrix products with less than half as many weights as the largest.

    Of a transformer's block these are the attention's output, of its end the projection: a tenth of the time, and most
    of the error.
    """
    weights = {
        operation.get_friendly_name(): operation.input(1).get_partial_shape()
        for operation in model.get_ops()
        if operation.get_type_name() == "MatMul"
    }
    sizes = {name: int(np.prod(shape.to_shape())) if shape.is_static else 0 for name, shape in weights.items()}
    return [name for name, size in sizes.items() if 2 * size < max(sizes.values())]


if __name__ == "__main__":
    main(*sys.argv[1:])
