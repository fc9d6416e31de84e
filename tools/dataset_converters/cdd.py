"""Prepares CDD (SVCD): cdd.py DOWNLOAD_FOLDER [--out data/cdd]

Converts the real, season-varying subset to the tree of the other pairs. The download folder
holds the archive ChangeDetectionDataset or its tree, or is its folder Real/subset, with
{train,val,test}/{A,B,OUT}: 10,000, 3,000 and 3,000 pairs of 256 x 256 pixels (a common
copy has 2,998 for validation). Masks, which are JPEGs in the download, are written as PNGs;
values from 128 on are changed.
"""
from _pairs import PairSet, prepare
from _preparation import argument_parser, parse_args, run

CDD = PairSet(
    name='CDD',
    counts=dict(train=(10000, ), val=(3000, 2998), test=(3000, )),
    # the archive also has other sets with similar trees
    pattern=r'^(?:.*/subset)?/(train|val|test)/(A|B|OUT)/([^/]+)\.jpg$',
    label='OUT',
    size=256,
    tile=256,
    threshold=127)


def main(arguments=None):
    prepare(CDD, parse_args(argument_parser(__doc__, 'data/cdd'), arguments))


if __name__ == '__main__':
    run(main)
