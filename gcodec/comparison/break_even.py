"""The speed of a link below which compressing makes a transfer faster."""

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def break_even(original: float, coded: float, seconds: float) -> float | None:
    """(original − coded) / seconds: with slower links, the bits saved are worth the time.

    original, coded: bits. seconds: that encoding and decoding take. None if nothing is saved.
    """
    return (original - coded) / max(seconds, 1e-9) if coded < original else None


def speed_words(bits: float | None) -> str:
    """Bits per second with three digits and a prefix; "never" for None."""
    if bits is None:
        return "never"
    scale, prefix = next((found for found in _PREFIXES if bits >= found[0]), (1.0, ""))
    return f"{bits / scale:.3g} {prefix}bit/s"
