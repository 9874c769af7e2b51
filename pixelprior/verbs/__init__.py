"""The public verbs: functions of a model or a run, checked and compiled once for each shape."""
