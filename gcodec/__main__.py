"""The `gcodec` command: signals are caught before anything large is imported."""

from .cli import interrupt


def main() -> None:
    """The entry point of the `gcodec` script."""
    interrupt.install()
    try:
        from .cli.main import main as command

        command()
    except BaseException as error:
        interrupt.end(error)
        raise


if __name__ == "__main__":
    main()
