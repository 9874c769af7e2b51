"""Layout of an exported file: names, types and the version of the format."""

FORMAT = 1
"""Version of the format. Raise it with every change after which older versions cannot read it."""

DTYPES = ("float32", "bfloat16", "int8")
"""Types of stored kernels. All other weights are stored in float32."""

SUFFIX = ".safetensors"

FILE_NAME = f"model{SUFFIX}"
"""Name of the file in a folder that holds nothing but an exported run."""

SCALE = ".scale"
"""End of the name of the scales of a kernel in int8."""

TOKENIZER = "tokenizer."
"""Start of the names of the weights of a prior's tokenizer."""

FORMAT_KEY = "pixelprior_format"
"""Key of the metadata that other safetensors files do not have."""
