"""ANN to SNN: QCFS, converted networks, calibration, and where the error comes from."""

from snnlens.conversion.activations import QCFS
from snnlens.conversion.anatomy import decompose
from snnlens.conversion.calibration import calibrate
from snnlens.conversion.convert import Converted, convert
from snnlens.conversion.nir import export_nir
from snnlens.conversion.prepare import prepare

__all__ = ["QCFS", "Converted", "calibrate", "convert", "decompose", "export_nir", "prepare"]
