# k-NN accuracy of a Swin-B on AID (20 % of each class); nothing is trained.
_base_ = ['../_base_/models/swin-base_knn.py', '../_base_/recipes/knn_aid-20.py']
