"""Sheets of logos to single logos: python -m data_prep.split_grid --filename=sheet.jpg --col=3 --row=4.

--filename may be a folder of sheets. Cells are named SHEET_COLUMN_ROW.png, and together they cover the sheet.
"""

import argparse
import functools
import pathlib
from collections.abc import Sequence

from PIL import Image

from data_prep import arguments, folders
from data_prep.pictures import convert, modes
from logogan_jax.core import errors, files
from logogan_jax.core.errors import UserError


def split(path: pathlib.Path, columns: int, rows: int) -> list[tuple[str, Image.Image]]:
    """Cut one sheet, upright and in sRGB, into [("_0_0", cell), ("_0_1", cell), ...], column by column."""
    picture = convert.open_picture(path.read_bytes(), 1024)
    sheet = modes.to_srgb(picture)
    if picture.mode == "L" and sheet.mode == "RGB":
        sheet = sheet.convert("L")  # grey stays grey
    if sheet.width < columns or sheet.height < rows:
        raise ValueError(f"{sheet.width} x {sheet.height} pixels are too few for {columns} x {rows} cells")
    x = [round(i * sheet.width / columns) for i in range(columns + 1)]
    y = [round(j * sheet.height / rows) for j in range(rows + 1)]
    return [(f"_{i}_{j}", sheet.crop((x[i], y[j], x[i + 1], y[j + 1]))) for i in range(columns) for j in range(rows)]


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m data_prep.split_grid", description=arguments.summary(__doc__))
    parser.add_argument("-f", "--filename", required=True, help="a sheet, or a folder of sheets of one layout")
    parser.add_argument("--col", type=int, required=True, help="logos across")
    parser.add_argument("--row", type=int, required=True, help="logos down")
    parser.add_argument("--target_path", help="folder for the logos (default: SHEET_split or FOLDER_split)")
    args = parser.parse_args(argv)
    with errors.exit_on_error():
        path = files.expand(args.filename)
        if min(args.col, args.row) < 1:
            raise UserError(f"--col={args.col} and --row={args.row} should be at least 1")
        if not path.exists():
            raise UserError(f"--filename={path}: there is no such file or folder")
        target = args.target_path or arguments.beside(path if path.is_dir() else path.with_suffix(""), "_split")
        split_file = functools.partial(split, columns=args.col, rows=args.row)
        folder = path if path.is_dir() else path.parent
        names = folders.list_files(path) if path.is_dir() else [pathlib.Path(path.name)]
        settings = {"col": args.col, "row": args.row}
        print(folders.convert_folder(split_file, folder, names, target, first="_0_0", settings=settings))


if __name__ == "__main__":
    main()
