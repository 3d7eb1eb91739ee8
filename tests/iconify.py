"""A small icon set in the format of Iconify: three icons, a hidden one and an alias."""

ICON_SET = {
    "prefix": "test", "width": 32, "height": 16,
    "icons": {
        "plain": {"body": '<path fill="#f00" d="M0 0h32v16H0z"/>'},
        "square": {"body": '<path fill="currentColor" d="M4 4h8v8H4z"/>', "width": 16},
        "moved": {"body": '<path fill="#00f" d="M-8-8h16v16H-8z"/>', "left": -8, "top": -8, "width": 16},
        "gone": {"body": "<path/>", "hidden": True},
    },
    "aliases": {"same": {"parent": "plain"}},
}  # fmt: skip
