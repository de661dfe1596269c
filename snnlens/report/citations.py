"""BibTeX of the works that a run rests on."""

from __future__ import annotations

from typing import Any

SEW = r"""@inproceedings{fang2021deep,
  title         = {Deep Residual Learning in Spiking Neural Networks},
  author        = {Fang, Wei and Yu, Zhaofei and Chen, Yanqi and Huang, Tiejun and
                   Masquelier, Timoth{\'e}e and Tian, Yonghong},
  booktitle     = {Advances in Neural Information Processing Systems},
  volume        = {34},
  pages         = {21056--21069},
  year          = {2021},
  eprint        = {2102.04159},
  archiveprefix = {arXiv}
}"""
PLIF = r"""@inproceedings{fang2021incorporating,
  title         = {Incorporating Learnable Membrane Time Constant To Enhance Learning of
                   Spiking Neural Networks},
  author        = {Fang, Wei and Yu, Zhaofei and Chen, Yanqi and Masquelier, Timoth{\'e}e and
                   Huang, Tiejun and Tian, Yonghong},
  booktitle     = {Proceedings of the IEEE/CVF International Conference on Computer Vision},
  pages         = {2661--2671},
  year          = {2021},
  eprint        = {2007.05785},
  archiveprefix = {arXiv}
}"""
MS_RESNET = r"""@article{hu2025advancing,
  title         = {Advancing Spiking Neural Networks Toward Deep Residual Learning},
  author        = {Hu, Yifan and Deng, Lei and Wu, Yujie and Yao, Man and Li, Guoqi},
  journal       = {IEEE Transactions on Neural Networks and Learning Systems},
  volume        = {36},
  number        = {2},
  pages         = {2353--2367},
  year          = {2025},
  doi           = {10.1109/TNNLS.2024.3355393},
  eprint        = {2112.08954},
  archiveprefix = {arXiv}
}"""


def bibtex(networks: list[dict[str, Any]]) -> str:
    """SEW ResNet always, the others where a network uses them.

    >>> bibtex([{"neuron": "PLIF"}]).count("@")
    2
    """
    neurons = {str(facts.get("neuron", "")).lower() for facts in networks}
    residuals = {facts.get("residual") for facts in networks}
    works = [SEW]
    if "plif" in neurons:
        works.append(PLIF)
    if "ms" in residuals:
        works.append(MS_RESNET)
    return "\n\n".join(works)
