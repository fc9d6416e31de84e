"""Prepares LEVIR-CD: levir_cd.py DOWNLOAD_FOLDER [--out data/levir_cd]

Cuts the pairs into tiles of 256 pixels. The download folder holds
{train,val,test}/{A,B,label}, as folders or as train.zip, val.zip and test.zip: 445, 64 and
128 pairs of 1024 x 1024 pixels, 16 tiles each.
"""
from _pairs import PairSet, prepare
from _preparation import argument_parser, parse_args, run

LEVIR_CD = PairSet(
    name='LEVIR-CD',
    counts=dict(train=(445, ), val=(64, ), test=(128, )),
    pattern=r'/(train|val|test)/(A|B|label)/([^/]+)\.png$',
    label='label',
    size=1024,
    tile=256)


def main(arguments=None):
    prepare(LEVIR_CD, parse_args(argument_parser(__doc__, 'data/levir_cd'), arguments))


if __name__ == '__main__':
    run(main)
