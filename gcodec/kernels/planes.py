"""Byte planes of words, histograms of bytes, and bytes as symbols of a short list."""

import numpy as np

from .compiler.jit import njit

SLOTS = 1 << 10  # places of a table of words, a power of two
MOST_WORDS = 256  # different words that such a table takes
_MIX = np.uint64(0x9E37_79B9_7F4A_7C15)
_PIECE = 4096  # words that are put together at a time, so that they stay in the first cache


@njit
def split(words: np.ndarray, turn: bool, planes: np.ndarray) -> None:
    """planes[p, i] is byte p of words[i], from the least significant on.

    words: unsigned integers. turn: whether each is first rotated left by one bit, so that a sign
    moves from the highest bit to the lowest. planes: uint8, bytes of a word × words.
    """
    number = words.dtype.type  # all numbers have the words' dtype, so that the loops become vectors
    one, last = number(1), number(8 * planes.shape[0] - 1)
    for start in range(0, words.size, _PIECE):
        part, beside = words[start : start + _PIECE], planes[:, start : start + _PIECE]
        if beside.shape[0] == 2:
            low, high = beside[0], beside[1]
            for i in range(part.size):
                word = number(number(part[i] << number(1)) | number(part[i] >> number(15))) if turn else part[i]
                low[i] = word
                high[i] = number(word >> number(8))
        elif beside.shape[0] == 4:
            a, b, c, d = beside[0], beside[1], beside[2], beside[3]
            for i in range(part.size):
                word = number(number(part[i] << number(1)) | number(part[i] >> number(31))) if turn else part[i]
                a[i] = word
                b[i] = number(word >> number(8))
                c[i] = number(word >> number(16))
                d[i] = number(word >> number(24))
        else:
            for p in range(beside.shape[0]):
                plane, down = beside[p], number(8 * p)
                for i in range(part.size):
                    word = number(number(part[i] << one) | number(part[i] >> last)) if turn else part[i]
                    plane[i] = word >> down


@njit
def join(planes: np.ndarray, turn: bool, words: np.ndarray) -> None:
    """The inverse of `split`."""
    number = words.dtype.type
    one, last = number(1), number(8 * planes.shape[0] - 1)
    for start in range(0, words.size, _PIECE):
        part, beside = words[start : start + _PIECE], planes[:, start : start + _PIECE]
        if beside.shape[0] == 2:
            low, high = beside[0], beside[1]
            for i in range(part.size):
                word = number(number(low[i]) | number(number(high[i]) << number(8)))
                part[i] = number(number(word >> number(1)) | number(word << number(15))) if turn else word
        elif beside.shape[0] == 4:
            a, b, c, d = beside[0], beside[1], beside[2], beside[3]
            for i in range(part.size):
                lower = number(number(a[i]) | number(number(b[i]) << number(8)))
                upper = number(number(c[i]) | number(number(d[i]) << number(8)))
                word = number(lower | number(upper << number(16)))
                part[i] = number(number(word >> number(1)) | number(word << number(31))) if turn else word
        else:
            for i in range(part.size):
                part[i] = beside[0, i]
            for p in range(1, beside.shape[0]):
                for i in range(part.size):
                    part[i] |= number(beside[p, i]) << number(8 * p)
            for i in range(part.size if turn else 0):
                part[i] = number(number(part[i] >> one) | number(part[i] << last))


@njit
def integers_of(
    lows: np.ndarray, highs: np.ndarray, order: np.ndarray, most: int, divisors: np.ndarray, integers: np.ndarray
) -> bool:
    """Find for each row whole numbers up to `most` that one scale turns into all of its values.

    lows, highs: float64, rows × values: the magnitudes that round to each value; 0 for zeros.
    order: int64, the indices of each row by magnitude. divisors: int64, one a row: what times the
    scale the smallest magnitude may be at least; becomes what it is. Rows whose divisor is 0 are
    left out. integers: int64, rows × values, is filled. Returns False at the first row that has
    none.
    """
    slack = 1.0 / (1 << 30)
    for row in range(lows.shape[0]):
        first = 0
        while first < order.shape[1] and lows[row, order[row, first]] == 0:
            first += 1
        if divisors[row] == 0 or first == order.shape[1]:
            continue
        fits, divisor = False, divisors[row] - 1
        while not fits and divisor < most:
            divisor += 1
            low, high = lows[row, order[row, first]] / divisor, highs[row, order[row, first]] / divisor
            if low == 0:  # it is below the range of float64
                return False
            fits, passes = True, 0
            while fits and passes < 2:
                for k in range(first, order.shape[1]):
                    i = order[row, k]
                    least = np.ceil(lows[row, i] / high * (1 - slack))
                    largest = np.floor(highs[row, i] / low * (1 + slack))
                    if least > largest or least > most:
                        fits = False
                        break
                    number = least
                    if least == largest:  # the scale is known better now
                        low, high = max(low, lows[row, i] / number), min(high, highs[row, i] / number)
                        if low > high:
                            if low > high * (1 + slack):
                                fits = False
                                break
                            low, high = high, low
                    else:
                        number = np.rint((lows[row, i] + highs[row, i]) / (low + high))
                    integers[row, i] = np.int64(number)
                passes += 1
        if not fits:
            return False
        divisors[row] = divisor
    return True


@njit
def histogram(values: np.ndarray, counts: np.ndarray) -> None:
    """Add to counts (int64, 4 × 256) how often each byte occurs; rows are to be summed."""
    whole = values.size // 4 * 4
    for i in range(0, whole, 4):
        counts[0, values[i]] += 1
        counts[1, values[i + 1]] += 1
        counts[2, values[i + 2]] += 1
        counts[3, values[i + 3]] += 1
    for i in range(whole, values.size):
        counts[0, values[i]] += 1


@njit
def take_out(values: np.ndarray, symbols: np.ndarray, symbol: int, taken: np.ndarray) -> None:
    """Copy to `taken`, in order, the values with this symbol. It has room for all of them."""
    count = 0
    for i in range(values.size):
        if symbols[i] == symbol:
            taken[count] = values[i]
            count += 1


@njit
def put_in(taken: np.ndarray, symbols: np.ndarray, symbol: int, values: np.ndarray) -> int:
    """The inverse of `take_out`; gives how many were needed, which may be more than there are."""
    count = 0
    for i in range(values.size):
        if symbols[i] == symbol:
            if count < taken.size:
                values[i] = taken[count]
            count += 1
    return count


@njit
def number_words(words: np.ndarray, met: np.ndarray, numbers: np.ndarray, count: int, out: np.ndarray) -> int:
    """out[i] (uint8) = the number of words[i], where numbers are given as words are met.

    words: unsigned integers. met, numbers: a table of SLOTS words of that dtype and their numbers,
    int16, -1 where there is none. count: how many words it has, at most MOST_WORDS. Returns how
    many it has now, or MOST_WORDS + 1 as soon as there is no number for a word.
    """
    last = np.uint64(0)
    number = np.uint8(0)
    known = False
    for i in range(words.size):
        word = np.uint64(words[i])
        if not known or word != last:
            slot = np.int64(word * _MIX >> np.uint64(54))
            while numbers[slot] >= 0 and met[slot] != words[i]:
                slot = (slot + 1) & (SLOTS - 1)
            if numbers[slot] < 0:
                if count == MOST_WORDS:
                    return count + 1
                met[slot] = words[i]
                numbers[slot] = count
                count += 1
            number = np.uint8(numbers[slot])
            last, known = word, True
        out[i] = number
    return count
