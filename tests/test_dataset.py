"""Labelled recordings: folders and CSV files, splits, decoding once."""

import logging
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models import TrainingError
from models.errors import SoundError
from models.training.dataset import (
    Dataset,
    Example,
    SoundCache,
    by_fold,
    check_trainable,
    hold_out,
    k_fold,
    read_dataset,
    readable,
)


def put(folder: Path, *names: str) -> Path:
    """Files that hold something: nobody opens them when they are listed."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"sound")
    return folder


def write_csv(folder: Path, text: str, name: str = "list.csv", encoding: str = "utf-8") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def of_counts(*counts: int) -> Dataset:
    """A data set whose classes have so many recordings."""
    examples = [Example(Path(f"{c}-{n}"), (c,)) for c, count in enumerate(counts) for n in range(count)]
    return Dataset(tuple(examples), tuple(f"class {c}" for c in range(len(counts))), multi_label=False)


def counts_of(dataset: Dataset, indices: NDArray[np.int64]) -> list[int]:
    return [int(count) for count in dataset.subset(indices).targets().sum(0)]


def one_sentence(error: pytest.ExceptionInfo[TrainingError]) -> str:
    text = str(error.value)
    assert text
    assert "\n" not in text
    assert ": " in text  # what is wrong: what to do
    return text


# Folders


def test_each_sub_folder_is_a_class(tmp_path: Path) -> None:
    put(tmp_path, "dog/b.WAV", "dog/deep/er/a.flac", "cat/c.mp3", "Émile/d.opus")
    dataset = read_dataset(tmp_path)
    assert dataset.labels == ("cat", "dog", "Émile")
    assert not dataset.multi_label
    assert dataset.folds == ()
    listed = [(str(example.path.relative_to(tmp_path)), example.labels) for example in dataset.examples]
    assert listed == [
        ("cat/c.mp3", (0,)),
        ("dog/b.WAV", (1,)),
        ("dog/deep/er/a.flac", (1,)),
        ("Émile/d.opus", (2,)),
    ]


def test_files_that_are_not_recordings_of_a_class_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(tmp_path, "dog/a.wav", "cat/a.wav", "empty/notes.txt", "dog/cover.jpg", "README.md")
    put(tmp_path, ".git/a.wav", "dog/._a.wav", "dog/.cache/a.wav")
    with caplog.at_level(logging.WARNING):
        dataset = read_dataset(tmp_path)
    assert len(dataset.examples) == 2
    assert dataset.labels == ("cat", "dog")
    assert "3 files" in caplog.text  # hidden ones are not worth a word
    assert "without recordings are skipped: empty" in caplog.text


def test_a_folder_of_other_things_is_told_apart_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.training.dataset.listing._MOST_OTHERS", 3)
    put(tmp_path, *(f"{folder}/{number}.txt" for folder in "ab" for number in range(2)), "c/dog.wav")
    with pytest.raises(
        TrainingError, match="more than 3 files that are not recordings: put the recordings of each"
    ):
        read_dataset(tmp_path)


def test_a_folder_with_an_undecodable_name_is_reported_in_one_sentence(tmp_path: Path) -> None:
    put(tmp_path, "dog/a.wav", "caf\udce9/a.wav")  # as Python has a name in Latin-1
    with pytest.raises(TrainingError, match="not UTF-8.*: rename it") as error:
        read_dataset(tmp_path)
    one_sentence(error).encode()


# CSV files


def test_a_csv_file_lists_recordings_with_their_labels_and_folds(tmp_path: Path) -> None:
    put(tmp_path, "sounds/a.wav", "sounds/b, loud.wav")
    outside = put(tmp_path / "elsewhere", "c.wav") / "c.wav"
    table = write_csv(
        tmp_path / "lists",
        "note,path,label,fold\r\n"
        "x,../sounds/a.wav,dog | cat,2\r\n"
        'y,"../sounds/b, loud.wav",cat|cat,1\r\n'
        "\r\n"
        f"z,{outside},  Émile ,2\r\n",
    )
    dataset = read_dataset(table)
    assert dataset.labels == ("cat", "dog", "Émile")
    assert dataset.multi_label
    assert dataset.folds == (1, 2)
    assert [example.path for example in dataset.examples] == [
        tmp_path / "sounds/a.wav",
        tmp_path / "sounds/b, loud.wav",
        outside,
    ]
    assert [example.labels for example in dataset.examples] == [(0, 1), (0,), (2,)]
    assert dataset.targets().tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    table = write_csv(put(tmp_path, "a.wav"), "path,label\na.wav,Ärger\n", encoding="utf-8-sig")
    assert read_dataset(table).labels == ("Ärger",)


def test_esc50_is_read_without_conversion(tmp_path: Path) -> None:
    put(tmp_path / "audio", "1-100032-A-0.wav", "5-9032-A-0.wav")
    table = write_csv(
        tmp_path / "meta",
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n"
        "5-9032-A-0.wav,5,0,rooster,True,9032,A\n",
        "esc50.csv",
    )
    dataset = read_dataset(table)
    assert [example.path for example in dataset.examples] == sorted((tmp_path / "audio").iterdir())
    assert (dataset.labels, dataset.folds) == (("dog", "rooster"), (1, 5))


def test_a_recording_that_is_listed_twice_counts_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write_csv(put(tmp_path, "a.wav"), "path,label\na.wav,dog\n./a.wav,dog\n")
    assert len(read_dataset(table).examples) == 1
    assert "1 recordings are listed more than once" in caplog.text


def test_labels_are_those_of_the_model(tmp_path: Path) -> None:
    table = write_csv(
        put(tmp_path, "a.wav", "b.wav", "c.wav"), "path,label\na.wav,/m/09x0r\nb.wav,dOG\nc.wav,Mew|Speech\n"
    )
    dataset = read_dataset(table, labels=("Mew", "Speech", "mew", "Dog"))
    assert dataset.labels == ("Mew", "Speech", "mew", "Dog")
    assert [example.labels for example in dataset.examples] == [(1,), (3,), (0, 1)]


def test_identifiers_of_audioset_stand_for_their_names(tmp_path: Path) -> None:
    table = write_csv(
        put(tmp_path, "a.wav", "b.wav", "c.wav"),
        "path,label\na.wav,/m/09x0r\nb.wav,/m/0bt9lr|Speech\nc.wav,/m/none\n",
    )
    dataset = read_dataset(table)
    assert dataset.labels == ("/m/none", "Dog", "Speech")
    assert [example.labels for example in dataset.examples] == [(2,), (1, 2), (0,)]


def test_folders_may_be_named_as_the_model_names_its_classes(tmp_path: Path) -> None:
    put(tmp_path, "dog/a.wav")
    assert read_dataset(tmp_path, labels=("Cat", "Dog")).examples[0].labels == (1,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column 'path'"),
        ("a.wav,dog\n", "no column 'path'"),
        ("path:label\na.wav:dog\n", "path:label"),
        ("a.wav,Dog\n", "'a.wav,Dog'"),
        ("path,Path,label\na.wav,b.wav,dog\n", "has the column 'path' 2 times: remove all but one"),
        (
            "path,label,start\na.wav,dog,soon\n",
            "line 2 has the start 'soon', which is not a number of seconds",
        ),
        ("path,label,end\na.wav,dog,-1\n", "line 2 has the end '-1'"),
        ("path,label,start\na.wav,dog,nan\n", "line 2 has the start 'nan'"),
        ("path,label,start,end\na.wav,dog,3,2\n", "line 2 ends at 2 s, not after its start at 3 s"),
        ("path,label\na.wav,dog\nb.wav,Dog\n", "differ only in case"),
        ("path,class\na.wav,dog\n", "no column 'label'"),
        ("path,label\n", "no recordings"),
        ("path,label\na.wav,\n", "line 2 has an empty label"),
        ("path,label\na.wav,dog|\n", "line 2 has an empty label"),
        ("path,label\n ,dog\n", "line 2 has an empty path"),
        ("path,label\na.wav\n", "line 2 has 1 columns"),
        ("path,label\na.wav,Male speech, man speaking\n", "quotation marks"),
        ('path,label\na.wav,"dog\n', "quotation marks"),
        ("path,label,fold\na.wav,dog,1\nb.wav,dog,one\n", "line 3 has the fold 'one'"),
        ("path,label,fold\na.wav,dog,\n", "fold ''"),
        ("path,label\na.wav,dog\nb.wav,dog\na.wav,cat\n", "line 4 lists a.wav again"),
        ("path,label\na.wav,d\0g\n", "NUL"),
        (f"path,label\n{'a' * 300}.wav,dog\n", "can't be read"),
        ("path,label\nelsewhere/a.wav,dog\nelsewhere/b.wav,dog\n", "none of the 2 recordings"),
    ],
)
def test_a_malformed_csv_file_is_reported_in_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    table = write_csv(put(tmp_path, "a.wav", "b.wav"), text)
    with pytest.raises(TrainingError) as error:
        read_dataset(table)
    sentence = one_sentence(error)
    assert says in sentence
    assert str(table) in sentence


@pytest.mark.parametrize(
    "text",
    [
        "path;label\na.wav;Ärger\n",
        "path\tlabel\na.wav\tÄrger\n",
        '"Path","Label"\n"a.wav","Ärger"\n',
        " PATH , Label \na.wav,Ärger\n \n,\n",
        '"path";"start";"end";"label"\r\n"a.wav";"0,5";"1,5";"Ärger"\r\n',
    ],
    ids=["semicolons", "tabs", "quoted", "blank lines", "decimal commas"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_what_spreadsheets_write_is_read(text: str, encoding: str, tmp_path: Path) -> None:
    dataset = read_dataset(write_csv(put(tmp_path, "a.wav"), text, encoding=encoding))
    assert dataset.labels == ("Ärger",)
    assert [example.path for example in dataset.examples] == [tmp_path / "a.wav"]


def test_a_path_with_backslashes_is_found_and_one_in_a_file_s_name_too(tmp_path: Path) -> None:
    put(tmp_path, "dog/a.wav", "dog\\b.wav")
    table = write_csv(tmp_path, "path,label\ndog\\a.wav,dog\ndog\\b.wav,cat\n")
    assert [example.path for example in read_dataset(table).examples] == [
        tmp_path / "dog" / "a.wav",
        tmp_path / "dog\\b.wav",
    ]


def test_composed_and_separate_accents_are_the_same(tmp_path: Path) -> None:
    composed, separate = "Bébé.wav", unicodedata.normalize("NFD", "Bébé.wav")
    put(tmp_path, f"{separate[:-4]}/{separate}", f"{composed[:-4]}/b.wav")
    folder = read_dataset(tmp_path)
    assert (folder.labels, len(folder.examples)) == (("Bébé",), 2)
    assert read_dataset(tmp_path, labels=("Dog", separate[:-4].upper())).examples[0].labels == (1,)
    table = write_csv(tmp_path, f"path,label\n{separate[:-4]}/{composed},{separate[:-4]}\n")
    dataset = read_dataset(table, labels=("Bébé",))
    assert dataset.examples[0].path.is_file()


def test_start_and_end_cut_a_recording(tmp_path: Path) -> None:
    table = write_csv(
        put(tmp_path, "a.wav"),
        "path,label,start,end\na.wav,dog,,1\na.wav,cat,1,2.5\na.wav,dog,2.5,\na.wav,cat,7,9\n",
    )
    dataset = read_dataset(table)
    second = np.arange(3 * 16_000, dtype=np.float32)
    assert [(part[0], len(part)) for part in (example.cut(second) for example in dataset.examples[:3])] == [
        (0, 16_000),
        (16_000, 24_000),
        (40_000, 8_000),
    ]
    kept, unreadable = readable(dataset, lambda _: second)
    assert len(kept.examples) == 3
    ((_, reason),) = unreadable
    assert "less than 25 ms of sound from its start to its end in the list" in reason


@pytest.mark.parametrize("encoding", ["utf-16-le", "latin-1"])
def test_a_csv_file_in_another_encoding_is_reported_in_one_sentence(tmp_path: Path, encoding: str) -> None:
    table = write_csv(put(tmp_path, "a.wav"), "path,label\na.wav,Ärger\n", encoding=encoding)
    with pytest.raises(TrainingError, match="UTF-8") as error:
        read_dataset(table)
    one_sentence(error)


def test_missing_data_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    put(tmp_path / "flat", "a.wav")
    put(tmp_path / "wav", "a.wav")
    (tmp_path / "wav" / "a.wav").write_bytes(b"RIFF\xff\xff")
    for name, says in (
        ("missing", "there is no folder or CSV file"),
        ("flat/a.wav/list.csv", "can't be read"),
        ("empty", "no recordings in"),
        ("flat", "sub-folder"),
        ("wav/a.wav", "not text in UTF-8"),
    ):
        with pytest.raises(TrainingError, match=says) as error:
            read_dataset(tmp_path / name)
        one_sentence(error)


def test_a_label_that_the_model_lacks_is_named_with_the_nearest(tmp_path: Path) -> None:
    table = write_csv(put(tmp_path, "a.wav", "b.wav"), "path,label\na.wav,Dog\nb.wav,Violni\n")
    with pytest.raises(TrainingError, match="line 3 has the label 'Violni'.*'Violin, fiddle'") as error:
        read_dataset(table, labels=("Dog", "Violin, fiddle", "Viola"))
    one_sentence(error)


def test_missing_recordings_are_no_error_as_long_as_one_is_there(tmp_path: Path) -> None:
    table = write_csv(put(tmp_path, "b.wav"), "path,label\na.wav,dog\nb.wav,cat\n")
    assert len(read_dataset(table).examples) == 2


def test_one_class_only_can_be_measured_but_not_trained_with(tmp_path: Path) -> None:
    dataset = read_dataset(put(tmp_path, "dog/a.wav", "dog/b.wav"))
    with pytest.raises(TrainingError, match="only one class, 'dog'") as error:
        check_trainable(dataset)
    one_sentence(error)
    with pytest.raises(TrainingError, match="class 'cat'") as error:
        check_trainable(Dataset(dataset.examples, ("dog", "cat"), multi_label=False))
    one_sentence(error)
    check_trainable(of_counts(1, 1))


# Splits


def test_a_share_of_each_class_is_held_out() -> None:
    dataset = of_counts(24, 40, 5, 10)
    training, validation = hold_out(dataset, 0.2, seed=1)
    assert counts_of(dataset, validation) == [5, 8, 1, 2]
    assert sorted([*training, *validation]) == list(range(79))


def test_the_seed_determines_the_validation_split() -> None:
    dataset = of_counts(30, 30)
    first, again, other = (hold_out(dataset, 0.3, seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_each_fold_is_validated_once() -> None:
    dataset = of_counts(10, 5, 23)
    folds = k_fold(dataset, 5, seed=0)
    assert [counts_of(dataset, validation)[:2] for _, validation in folds] == [[2, 1]] * 5
    assert {counts_of(dataset, validation)[2] for _, validation in folds} == {4, 5}
    assert sorted(index for _, validation in folds for index in validation) == list(range(38))
    assert all(not set(training) & set(validation) for training, validation in folds)


def test_parts_of_one_recording_are_in_the_same_split() -> None:
    examples = tuple(
        Example(
            Path(f"{index // 3}.wav"),
            (index % 2,),
            start_seconds=float(index % 3),
            end_seconds=index % 3 + 1.0,
        )
        for index in range(60)
    )
    dataset = Dataset(examples, ("a", "b"), multi_label=False)
    for training, validation in (hold_out(dataset, 0.2, seed=0), *k_fold(dataset, 5, seed=0)):
        assert 9 <= len(validation) <= 15
        trained, validated = ({examples[index].path for index in part} for part in (training, validation))
        assert not trained & validated


def test_the_only_recording_of_a_class_is_trained_on_with_all_its_parts() -> None:
    parts = tuple(Example(Path("bell.wav"), (0,), start_seconds=float(second)) for second in range(2))
    others = tuple(Example(Path(f"{index}.wav"), (1,)) for index in range(8))
    training, _ = hold_out(Dataset((*parts, *others), ("bell", "rain"), multi_label=False), 0.5, seed=0)
    assert {0, 1} <= set(training.tolist())


def test_folds_of_the_data_are_kept() -> None:
    examples = tuple(Example(Path(f"{n}"), (n % 2,), fold=n % 3 + 1) for n in range(9))
    dataset = Dataset(examples, ("a", "b"), multi_label=False)
    training, validation = by_fold(dataset, 2)
    assert validation.tolist() == [1, 4, 7]
    assert training.tolist() == [0, 2, 3, 5, 6, 8]
    with pytest.raises(TrainingError, match="no fold 4: it has 1, 2, 3") as error:
        by_fold(dataset, 4)
    one_sentence(error)
    with pytest.raises(TrainingError, match="no column 'fold'"):
        by_fold(of_counts(2, 2), 1)


@settings(deadline=None, max_examples=60)
@given(
    labels=st.lists(st.sets(st.integers(0, 4), min_size=1), min_size=2, max_size=40),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 5),
)
def test_no_class_loses_its_last_example_for_training(
    labels: list[set[int]], share: float, seed: int
) -> None:
    examples = tuple(Example(Path(f"{n}"), tuple(sorted(own))) for n, own in enumerate(labels))
    dataset = Dataset(examples, tuple("abcde"), multi_label=True)
    present = dataset.targets().any(0)
    splits = []
    for folds in (True, False):
        try:
            splits += k_fold(dataset, 2, seed) if folds else [hold_out(dataset, share, seed)]
        except TrainingError as error:
            assert "too few recordings" in str(error)  # noqa: PT017 - one of two right outcomes
    for training, validation in splits:
        assert sorted([*training, *validation]) == list(range(len(labels)))
        assert (dataset.subset(training).targets().any(0) == present).all()


def test_several_labels_are_spread_evenly() -> None:
    random = np.random.default_rng(0)
    examples = tuple(
        Example(Path(f"{n}"), tuple(sorted({n % 7, int(random.integers(7))}))) for n in range(210)
    )
    dataset = Dataset(examples, tuple("abcdefg"), multi_label=True)
    _, validation = hold_out(dataset, 0.2, seed=0)
    shares = dataset.subset(validation).targets().sum(0) / dataset.targets().sum(0)
    assert (np.abs(shares - 0.2) < 0.03).all()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_an_invalid_share_is_refused(share: float) -> None:
    with pytest.raises(TrainingError, match="above 0 and below 1") as error:
        hold_out(of_counts(5, 5), share, seed=0)
    one_sentence(error)


def test_splits_that_cannot_be_made_are_refused() -> None:
    with pytest.raises(TrainingError, match="too few recordings") as error:
        hold_out(of_counts(1, 1, 1), 0.2, seed=0)
    one_sentence(error)
    for k in (0, 1, 4):
        with pytest.raises(TrainingError, match=f"into {k} folds") as error:
            k_fold(of_counts(2, 1), k, seed=0)
        one_sentence(error)


@pytest.mark.parametrize(
    ("examples", "folds"),
    [
        ([(f"{index % 3}.wav", index % 2) for index in range(30)], 5),
        ([(f"{index}.wav", label) for index, label in enumerate((0, 0, 1, 2, 3))], 5),
        ([(f"{index}.wav", index) for index in range(6)], 2),
    ],
    ids=["parts of three recordings", "one pair", "one of each"],
)
def test_folds_without_a_recording_to_validate_with_are_refused(
    examples: list[tuple[str, int]], folds: int
) -> None:
    found = tuple(
        Example(Path(path), (label,), start_seconds=float(at)) for at, (path, label) in enumerate(examples)
    )
    with pytest.raises(TrainingError, match=f"too few recordings for {folds} folds") as error:
        k_fold(Dataset(found, tuple("abcdef"), multi_label=False), folds, seed=0)
    one_sentence(error)


# Sounds


class Shelf:
    """A reader that counts; what is called ``broken`` can't be read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def __call__(self, path: Path) -> NDArray[np.float32]:
        self.read.append(path.name)
        if path.name == "broken":
            raise SoundError(f"{path} is broken: get a whole copy")
        return np.full(1000, 0.5, np.float32)


def test_sounds_are_decoded_once_as_far_as_memory_goes() -> None:
    shelf = Shelf()
    cache = SoundCache(shelf, limit_bytes=8000)  # room for two
    for name in ("a", "b", "c", "a", "b", "c"):
        assert cache(Path(name)).shape == (1000,)
    assert shelf.read == ["a", "b", "c", "c"]


def test_threads_share_the_cache_and_its_limit() -> None:
    together = threading.Barrier(4, timeout=10)

    def read(path: Path) -> NDArray[np.float32]:
        together.wait()
        return np.full(1000, float(path.name), np.float32)

    cache = SoundCache(read, limit_bytes=4000)
    with ThreadPoolExecutor(4) as pool:
        values = [sound[0] for sound in pool.map(cache, map(Path, "1213"))]
    assert values == [1, 2, 1, 3]
    kept = [name for name in "123" if cache._kept.get(Path(name)) is not None]
    assert len(kept) == 1


def test_unreadable_recordings_are_left_out_and_reported() -> None:
    examples = tuple(Example(Path(name), (place,)) for place, name in enumerate(("a", "broken", "c")))
    dataset = Dataset(examples, ("x", "y", "z"), multi_label=False)
    told: list[tuple[int, int]] = []
    rest, unreadable = readable(dataset, SoundCache(Shelf()), lambda *done: told.append(done))
    assert [example.path.name for example in rest.examples] == ["a", "c"]
    assert rest.labels == dataset.labels
    assert unreadable == [(Path("broken"), "broken is broken: get a whole copy")]
    assert told == [(1, 3), (2, 3), (3, 3)]
    with pytest.raises(TrainingError, match="none of the 1 recordings") as error:
        readable(dataset.subset([1]), Shelf())
    one_sentence(error)


def test_recordings_shorter_than_a_frame_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    examples = tuple(Example(Path(name), (0,)) for name in ("399", "400", "401"))
    dataset = Dataset(examples, ("x",), multi_label=False)
    rest, left_out = readable(dataset, lambda path: np.ones(int(path.name), np.float32))
    assert [example.path.name for example in rest.examples] == ["400", "401"]
    assert left_out == [(Path("399"), "399 is shorter than 25 ms: give a longer recording")]
    assert not caplog.records


def test_silent_recordings_stay_and_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    examples = tuple(Example(Path(name), (0,)) for name in ("0", "0.1", "00"))
    dataset = Dataset(examples, ("x",), multi_label=False)
    rest, left_out = readable(dataset, lambda path: np.full(1000, float(path.name), np.float32))
    assert (rest, left_out) == (dataset, [])
    assert "recordings without any sound: 2 (the first: 0)" in caplog.text
