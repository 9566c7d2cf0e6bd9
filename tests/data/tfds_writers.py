"""Small data sets as TensorFlow Datasets prepares them."""

import io
import json
import struct
from pathlib import Path

import numpy as np
from PIL import Image


def examples(pictures: np.ndarray, numbers: np.ndarray) -> list[bytes]:
    """Serialized `tf.train.Example`s of PNG images and labels, as TFDS writes them."""
    from tensorflow_datasets.proto import tf_example_pb2  # pyright: ignore

    serialized = []
    for picture, number in zip(pictures, numbers, strict=True):
        png = io.BytesIO()
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(png, "PNG")
        example = tf_example_pb2.Example()  # pyright: ignore
        example.features.feature["image"].bytes_list.value.append(png.getvalue())
        example.features.feature["label"].int64_list.value.append(int(number))
        serialized.append(example.SerializeToString())
    return serialized


def write_tfds(root: Path, name: str, arrays: dict, file_format: str = "array_record") -> Path:
    """A version of a data set as TFDS prepares it, in an order of its own."""
    folder = root / name / "3.0.1"
    folder.mkdir(parents=True, exist_ok=True)
    splits = []
    for seed, part in enumerate(("train", "test")):
        order = np.random.default_rng(seed).permutation(len(arrays[f"{part}_labels"]))
        records = examples(arrays[f"{part}_images"][order], arrays[f"{part}_labels"][order])
        path = folder / f"{name}-{part}.{file_format}-00000-of-00001"
        (write_array_record if file_format == "array_record" else write_tfrecord)(path, records)
        splits.append(
            {
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
                "name": part,
                "numBytes": str(sum(map(len, records))),
                "shardLengths": [str(len(records))],
            }
        )
    info = {"fileFormat": file_format, "name": name, "splits": splits, "version": "3.0.1"}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(features(arrays["train_images"].shape[1:])))
    return folder


def features(shape: tuple[int, ...]) -> dict:
    module = "tensorflow_datasets.core.features"
    image = {"shape": {"dimensions": [str(size) for size in shape]}, "dtype": "uint8"}
    return {
        "pythonClassName": f"{module}.features_dict.FeaturesDict",
        "featuresDict": {
            "features": {
                "image": {"pythonClassName": f"{module}.image_feature.Image", "image": image},
                "label": {
                    "pythonClassName": f"{module}.class_label_feature.ClassLabel",
                    "classLabel": {"numClasses": "10"},
                },
            }
        },
    }


def write_array_record(path: Path, records: list[bytes]) -> None:
    from array_record.python import array_record_module  # pyright: ignore

    writer = array_record_module.ArrayRecordWriter(str(path), "group_size:1")
    for record in records:
        writer.write(record)
    writer.close()


def write_tfrecord(path: Path, records: list[bytes]) -> None:
    """Length, its checksum (left zero), content, its checksum (left zero)."""
    frames = [struct.pack("<QI", len(record), 0) + record + bytes(4) for record in records]
    path.write_bytes(b"".join(frames))
