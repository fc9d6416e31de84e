# NWPU-RESISC45 (Cheng et al., arXiv 1703.00121), as tools/dataset_converters/nwpu.py
# prepares it; the number is the percentage of each class used for training.
num_classes = 45
folder = dict(
    type='ImageFolder',
    data_root='data/nwpu',
    data_prefix='images',
    with_label=True,
    # each list is either the gallery or the queries of a k-NN test
    query_every=None,
    metainfo=dict(classes=(
        'airplane', 'airport', 'baseball_diamond', 'basketball_court', 'beach', 'bridge',
        'chaparral', 'church', 'circular_farmland', 'cloud', 'commercial_area',
        'dense_residential', 'desert', 'forest', 'freeway', 'golf_course',
        'ground_track_field', 'harbor', 'industrial_area', 'intersection', 'island',
        'lake', 'meadow', 'medium_residential', 'mobile_home_park', 'mountain', 'overpass',
        'palace', 'parking_lot', 'railway', 'railway_station', 'rectangular_farmland',
        'river', 'roundabout', 'runway', 'sea_ice', 'ship', 'snowberg',
        'sparse_residential', 'stadium', 'storage_tank', 'tennis_court', 'terrace',
        'thermal_power_station', 'wetland')))
train_10 = dict(folder, ann_file='splits/train_10.txt')
test_10 = dict(folder, ann_file='splits/test_10.txt')
train_20 = dict(folder, ann_file='splits/train_20.txt')
test_20 = dict(folder, ann_file='splits/test_20.txt')
