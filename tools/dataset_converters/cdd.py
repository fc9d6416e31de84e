"""Prepares CDD (SVCD): cdd.py DOWNLOAD_FOLDER [--out data/cdd]

Converts the real, season-varying subset to the tree of the other pairs. The download folder
holds the archive ChangeDetectionDataset or its tree, or is its folder Real/subset, with
{train,val,test}/{A,B,OUT}: 10,000, 3,000 and 3,000 pairs of 256 x 256 pixels (a common
copy has 2,998 for validation). Masks, which are JPEGs in the download, are written as PNGs;
values from 128 on are changed.
"""
from _pairs import main
from _preparation import run

if __name__ == '__main__':
    run(lambda: main(__doc__, 'cdd'))
