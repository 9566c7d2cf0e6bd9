"""Image data sets as NumPy arrays: where they come from, what they are, how they are split.

spec    DatasetSpec        what a data set is (one YAML file of configs/dataset)
source  Files, Tfds, ...   where it is read from (one YAML file of configs/source)
data    source.load(spec)  ImageData: all images, in an order that no source can change
splits  split(data, ...)   training, validation and test part, with a fingerprint
"""

from glocal_exp.data.source import Auto, DatasetSpec, ImageData, Source
from glocal_exp.data.split import OwnData, Splits, split

__all__ = ["Auto", "DatasetSpec", "ImageData", "OwnData", "Source", "Splits", "split"]
