"""Executes notebooks, each in a fresh kernel, and keeps their results.

    python notebooks/execute.py notebooks/quickstart.ipynb [...]

It keeps results and pictures, but no progress bars and no times of execution. The first code cell
of each notebook becomes ``setup_cell.py``, the one place that says where to install from.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TIMEOUT = 3600  # seconds, for one cell
SETUP = (Path(__file__).parent / "setup_cell.py").read_text().strip()
"""Source of the first code cell."""


def execute(notebook: nbformat.NotebookNode, folder: Path) -> None:
    """Executes a notebook in a folder, and puts what its cells show into it.

    Raises:
        CellExecutionError: if a cell fails.
    """
    NotebookClient(
        notebook,
        timeout=TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
    ).execute()


def set_up(notebook: nbformat.NotebookNode) -> None:
    """Puts the common source into the first code cell."""
    first = next(cell for cell in notebook.cells if cell.cell_type == "code")
    first.source = SETUP


def parameters(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The one cell that says how long the notebook takes."""
    [cell] = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", [])]
    return cell


def shorten(notebook: nbformat.NotebookNode, value: int) -> None:
    """Puts another value in the place of the one parameter."""
    cell = parameters(notebook)
    cell.source, count = re.subn(r"(?m)^(\w+ = )[\d_]+", rf"\g<1>{value}", cell.source)
    assert count == 1, cell.source


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Removes everything that only concerns the moment of the execution."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            # Standard error: progress, and words for whoever waits.
            cell.outputs = [o for o in cell.outputs if o.get("name") != "stderr"]
            for output in cell.outputs:
                # Pillow gives every picture twice, and JPEG blurs pixels.
                output.get("data", {}).pop("image/jpeg", None)


def main(names: list[str]) -> None:
    """Executes notebooks by their paths, one after the other."""
    for name in names:
        path = Path(name)
        notebook = nbformat.read(path, as_version=4)
        set_up(notebook)
        execute(notebook, path.parent)
        tidy(notebook)
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1:])
