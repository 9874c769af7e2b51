"""Facts about the CPU of this machine."""

import platform


def cpu_name() -> str:
    """Name of the CPU, such as "AMD EPYC 7B13"; elsewhere than on Linux, its kind."""
    return cpu_fact("model name") or platform.processor() or platform.machine()


def cpu_fact(*names: str) -> str:
    """Value of the first fact in Linux's list that has one of these names; empty if none has."""
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                name, _, value = line.partition(":")
                if name.strip() in names:
                    return value.strip()
    except OSError:
        pass
    return ""
