"""A desktop client of chatd: `python3 examples/desktop --help`."""

import argparse
import os
import sys

NO_TK = """this Python ({python}) has no tkinter, which draws the window.
On Debian and Ubuntu: sudo apt install python3-tk, then run it with /usr/bin/python3."""


def arguments(words):
    parser = argparse.ArgumentParser(prog="desktop", description="A window for the chat: it needs a chatd that runs.")
    parser.add_argument("--profile", help="profile of the daemon, as for chatctl (CHATD_PROFILE)")
    parser.add_argument("--data-dir", help="data directory of the daemon (CHATD_DATA_DIR)")
    parser.add_argument("--socket", help="socket of the daemon (CHATD_SOCKET)")
    parser.add_argument("--config", help="configuration file of the daemon (CHATD_CONFIG)")
    parser.add_argument("--dark", action="store_true", help="light letters on dark ground")
    parser.add_argument(
        "--scale", type=float, metavar="FACTOR", help="size of everything, 0.5 to 4; 2 for a very fine screen"
    )
    return parser, parser.parse_args(words)


def main(words):
    parser, asked = arguments(words)
    if asked.scale is not None and not 0.5 <= asked.scale <= 4:
        parser.error("--scale is 0.5 to 4")
    try:
        import tkinter
    except ImportError:
        sys.exit(NO_TK.format(python=sys.executable))
    from chatwindow.app import App
    from chatwindow.paths import Given, NoPlace, find

    given = Given(asked.profile, asked.data_dir, asked.socket, asked.config)
    try:
        root = tkinter.Tk(className="Chat")
        App(root, lambda: find(os.environ, given), asked.dark, asked.scale)
    except NoPlace as why:
        sys.exit(str(why))
    except tkinter.TclError as error:
        sys.exit(f"no window can be opened: {error}")
    root.mainloop()


if __name__ == "__main__":
    main(sys.argv[1:])
