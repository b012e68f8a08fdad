"""Small pieces of lobes join their neighbours."""

import numpy as np

from CovidSeverityLib.segmentation.lobes.pieces import in_one_piece


def test_piece_joins_the_lobe_that_most_of_its_faces_touch():
    labels = np.full((5, 6, 7), 1, dtype=np.uint8)
    labels[:, :, 4:] = 3
    labels[2, 2, 4] = 2  # five faces touch the upper lobe's label 3, one touches 1
    labels[0, 0, 0:2] = 2
    labels[4, 4:, 2:4] = 2
    whole = in_one_piece(labels)
    assert whole[2, 2, 4] == 3
    assert (whole[0, 0, :2] == 1).all()
    assert (whole[4, 4:, 2:4] == 2).all()


def test_pieces_beside_each_other_join_what_they_touch():
    labels = np.full((1, 1, 9), 1, dtype=np.uint8)
    labels[..., 5], labels[..., 6], labels[..., 7:] = 2, 1, 2
    assert in_one_piece(labels).tolist() == [[[1, 1, 1, 1, 1, 1, 2, 2, 2]]]


def test_pieces_that_only_touch_each_other_stay():
    labels = np.array([[[1, 1, 1, 0, 2, 0, 2, 2, 1]]], dtype=np.uint8)
    assert in_one_piece(labels).tolist() == [[[1, 1, 1, 0, 2, 0, 2, 2, 2]]]


def test_whole_lobes_are_left_alone():
    labels = np.zeros((3, 4, 5), dtype=np.uint8)
    labels[:2], labels[2] = 1, 3
    np.testing.assert_array_equal(in_one_piece(labels), labels)
    assert not in_one_piece(np.zeros((2, 2, 2), dtype=np.uint8)).any()
