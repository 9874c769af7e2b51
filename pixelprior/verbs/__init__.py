"""Public functions of a model or a run. They check arguments and compile once for each shape."""
