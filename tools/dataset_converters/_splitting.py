"""Divides files into train, val and test: seeded, stratified, groups kept together."""
import re
from collections import Counter, defaultdict
from hashlib import sha256

from _preparation import UserError


def split(files, strata, shares, seed=0, group=None):
    """Part of every file, the same on every machine.

    Groups are ordered by a hash of seed and name and go to a part as long as that brings
    it closer to its share of the images; what is left over trains.

    Args:
        files (list[str]): Paths, ``/`` between the parts.
        strata (list): Of each file, what every part gets its share of, such as a class.
        shares (dict[str, float]): Share of each part but train, in the order of filling.
        seed (int): Another seed, another split.
        group (str, optional): Regular expression that finds the name of the group in a
            path: its first bracket, or all that it matches. Without it every file is a
            group of its own.

    Returns:
        dict[str, list[int]]: Positions in ``files``, in their order, of 'train' and of
        each key of ``shares``.

    Raises:
        UserError: The expression is wrong or does not fit a file, the shares leave
            nothing to train, or a part stays empty.
    """
    if min(shares.values()) <= 0 or sum(shares.values()) >= 1:
        raise UserError('the shares of ' + ' and '.join(shares) + ' must be above 0 and leave '
                        'something to train')
    members = defaultdict(list)
    for position, name in enumerate(group_names(files, group)):
        members[name].append(position)
    units = defaultdict(list)
    for name, positions in members.items():
        # a group with images of several classes counts for the most frequent one
        stratum = Counter(strata[position] for position in positions).most_common(1)[0][0]
        units[stratum].append((sha256(f'{seed}/{name}'.encode()).digest(), positions))

    parts = {name: [] for name in ('train', *shares)}
    for drawn in units.values():
        drawn.sort()
        total = sum(len(positions) for _, positions in drawn)
        filled = Counter()
        for _, positions in drawn:
            part = next((name for name, share in shares.items()
                         if filled[name] + len(positions) / 2 <= share * total), 'train')
            filled[part] += len(positions)
            parts[part] += positions
    for name, positions in parts.items():
        if not positions:
            raise UserError(
                f'{name} stays empty: {len(members)} group(s) of {len(files)} files in '
                f'{len(units)} kind(s) are too few to share; choose other shares' +
                (' or a --group that makes smaller groups' if group else ''))
    return {name: sorted(positions) for name, positions in parts.items()}


def group_names(files, group):
    """Name of the group of every file; see :func:`split`."""
    if group is None:
        return list(files)
    try:
        expression = re.compile(group)
    except re.error as error:
        raise UserError(f'--group {group} is no regular expression: {error}') from error
    names = []
    for file in files:
        match = expression.search(file)
        if match is None:
            raise UserError(f'--group {group} does not fit {file}; the expression must find '
                            'the name of the scene in every path')
        names.append(match.group(1 if expression.groups else 0) or match.group())
    return names
