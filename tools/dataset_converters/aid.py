"""Prepares AID: aid.py DOWNLOAD_FOLDER [--out data/aid]

Takes the unpacked archive: 30 class folders of 10,000 JPEG images in all. Checks that all
are there and writes lists with 20 % and with 50 % of each class to train; the images stay
where they are.
"""
from _preparation import argument_parser, parse_args, run
from _scene_classes import SceneSet, prepare

# images of each class: Xia et al., arXiv 1608.05167, table 1
CLASSES = dict(
    Airport=360, BareLand=310, BaseballField=220, Beach=400, Bridge=360, Center=260,
    Church=240, Commercial=350, DenseResidential=410, Desert=300, Farmland=370,
    Forest=250, Industrial=390, Meadow=280, MediumResidential=290, Mountain=340,
    Park=350, Parking=390, Playground=370, Pond=420, Port=380, RailwayStation=260,
    Resort=290, River=410, School=300, SparseResidential=300, Square=330, Stadium=290,
    StorageTanks=360, Viaduct=420)

SET = SceneSet('AID', CLASSES, '.jpg', (600, 600), (20, 50))


def main(arguments=None):
    prepare(SET, parse_args(argument_parser(__doc__, 'data/aid'), arguments))


if __name__ == '__main__':
    run(main)
