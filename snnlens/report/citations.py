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

PARALLEL = r"""@inproceedings{hao2025faster,
  title         = {Faster and Stronger: When {ANN}-{SNN} Conversion Meets Parallel Spiking
                   Calculation},
  author        = {Hao, Zecheng and Ma, Qichao and Chen, Kang and Zhang, Yi and Yu, Zhaofei and
                   Huang, Tiejun},
  booktitle     = {International Conference on Machine Learning},
  year          = {2025},
  eprint        = {2412.13610},
  archiveprefix = {arXiv}
}"""
QCFS = r"""@inproceedings{bu2022optimal,
  title         = {Optimal {ANN}-{SNN} Conversion for High-accuracy and Ultra-low-latency Spiking
                   Neural Networks},
  author        = {Bu, Tong and Fang, Wei and Ding, Jianhao and Dai, PengLin and Yu, Zhaofei and
                   Huang, Tiejun},
  booktitle     = {International Conference on Learning Representations},
  year          = {2022}
}"""


def bibtex(networks: list[dict[str, Any]]) -> str:
    """SEW ResNet, but of converted networks alone; the others where a network uses them.

    >>> bibtex([{"neuron": "PLIF"}]).count("@")
    2
    """
    neurons = {str(facts.get("neuron", "")).lower() for facts in networks}
    residuals = {facts.get("residual") for facts in networks}
    works = [] if neurons == {"converted"} else [SEW]
    if "plif" in neurons:
        works.append(PLIF)
    if "ms" in residuals:
        works.append(MS_RESNET)
    if "converted" in neurons:
        works += [PARALLEL, QCFS]
    return "\n\n".join(works)
