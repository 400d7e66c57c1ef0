"""Numbers of many agents at once: one int a binary digit, one bit of it an agent.

A column of such ints is as many numbers as it has bits, and AND, OR and XOR work on all of them in one go: comparing
10,000 proficiencies with a bound takes a few microseconds, and so does adding two columns or finding everybody who has
the highest number. (Known from databases as bit-sliced indexes: O'Neil & Quass 1997.) Nothing of skills or queues here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Digits = list[int]
"""Least significant digit first. Bit i of digit k is digit k of the number of agent i; digits not there are 0."""


def write(digits: Digits, bit: int, old: int, new: int) -> None:
    """Change the number of the agent whose bit is ``bit`` from ``old`` to ``new``, both 0 or more."""
    changed = old ^ new
    while len(digits) < new.bit_length():
        digits.append(0)
    place = 0
    while changed:
        if changed & 1:
            digits[place] ^= bit
        changed >>= 1
        place += 1


def at_least(digits: Digits, among: int, bound: int) -> int:
    """Those of ``among`` whose number is ``bound`` or more."""
    if bound <= 0:
        return among
    if bound.bit_length() > len(digits):
        return 0
    above, equal = 0, among
    for place in range(len(digits) - 1, -1, -1):
        ones = equal & digits[place]
        if bound >> place & 1:
            equal = ones
        else:
            above |= ones
            equal ^= ones
    return above | equal


def ascending(digits: Digits, among: int) -> Iterator[int]:
    """Those of ``among``, who are some: masks of equal numbers, lowest number first. The first costs one step a digit, each
    further one little more than the digits in which it differs from the one before."""
    left = [(among, len(digits))]
    while left:
        among, place = left.pop()
        while place:
            place -= 1
            ones = among & digits[place]
            if ones and ones != among:
                left.append((ones, place))
                among ^= ones
        yield among


def descending(digits: Digits, among: int) -> Iterator[int]:
    """The same, highest number first."""
    left = [(among, len(digits))]
    while left:
        among, place = left.pop()
        while place:
            place -= 1
            ones = among & digits[place]
            if ones and ones != among:
                left.append((among ^ ones, place))
                among = ones
        yield among


def added(left: Digits, right: Digits) -> Digits:
    """The sums, agent by agent."""
    if len(left) < len(right):
        left, right = right, left
    total: Digits = []
    carry = 0
    for one, other in zip(left, right):  # noqa: B905  # the longer one's rest follows
        half = one ^ other
        total.append(half ^ carry)
        carry = one & other | half & carry
    for one in left[len(right) :]:
        total.append(one ^ carry)
        carry &= one
    if carry:
        total.append(carry)
    return total


def summed(columns: Sequence[Digits]) -> Digits:
    """The sums of any number of columns."""
    total: Digits = []
    for digits in columns:
        total = added(total, digits)
    return total


def times(digits: Digits, factor: int, dropped: int = 0) -> Digits:
    """Every number times ``factor``, which is 0 or more; less the last ``dropped`` digits of the product."""
    product: Digits = []
    place = 0
    while factor:
        if factor & 1:
            product = added(product, [0] * place + digits)
        factor >>= 1
        place += 1
    return product[dropped:]


def complement(digits: Digits, among: int, places: int) -> Digits:
    """``2 ** places - 1`` less the number, for those of ``among``: what was highest is lowest."""
    return [among ^ (digits[place] & among) if place < len(digits) else among for place in range(places)]


def number_at(digits: Digits, bit: int) -> int:
    """The number of the agent whose bit is ``bit``."""
    return sum(1 << place for place, ones in enumerate(digits) if ones & bit)
