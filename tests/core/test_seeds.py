from daguan.core.seeds import stream, stream_seed

NAMES = [(), ("mask",), ("mask", 0), ("mask", 1), ("mask", 10), ("mask", 1, 0), ("shuffle", 0), ("mask", "a")]


def test_the_same_name_gives_the_same_stream():
    assert stream(7, "mask", 3).random(5).tolist() == stream(7, "mask", 3).random(5).tolist()


def test_different_names_and_seeds_give_different_streams():
    seeds = {stream_seed(seed, *name) for seed in (0, 1, 10) for name in NAMES}
    assert len(seeds) == 3 * len(NAMES)


def test_the_order_of_use_is_irrelevant():
    forwards = {name: stream(7, *name).random() for name in NAMES}
    backwards = {name: stream(7, *name).random() for name in reversed(NAMES)}
    assert forwards == backwards


def test_a_seed_fits_63_bits_and_never_changes():
    assert all(0 <= stream_seed(seed, "x") < 2**63 for seed in range(100))
    assert stream_seed(0, "folds") == 4489289098089971775
