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


IG = r"""@inproceedings{sundararajan2017axiomatic,
  title         = {Axiomatic Attribution for Deep Networks},
  author        = {Sundararajan, Mukund and Taly, Ankur and Yan, Qiqi},
  booktitle     = {International Conference on Machine Learning},
  series        = {Proceedings of Machine Learning Research},
  volume        = {70},
  pages         = {3319--3328},
  year          = {2017},
  eprint        = {1703.01365},
  archiveprefix = {arXiv}
}"""
GRADCAM = r"""@inproceedings{selvaraju2017gradcam,
  title         = {{Grad-CAM}: Visual Explanations from Deep Networks via Gradient-based
                   Localization},
  author        = {Selvaraju, Ramprasaath R. and Cogswell, Michael and Das, Abhishek and
                   Vedantam, Ramakrishna and Parikh, Devi and Batra, Dhruv},
  booktitle     = {Proceedings of the IEEE International Conference on Computer Vision},
  pages         = {618--626},
  year          = {2017},
  eprint        = {1610.02391},
  archiveprefix = {arXiv}
}"""
SAM = r"""@article{kim2021visual,
  title         = {Visual explanations from spiking neural networks using inter-spike intervals},
  author        = {Kim, Youngeun and Panda, Priyadarshini},
  journal       = {Scientific Reports},
  volume        = {11},
  pages         = {19037},
  year          = {2021},
  doi           = {10.1038/s41598-021-98448-0},
  eprint        = {2103.14441},
  archiveprefix = {arXiv}
}"""
TSA = r"""@inproceedings{nguyen2023feature,
  title         = {Feature Attribution Explanations for Spiking Neural Networks},
  author        = {Nguyen, Elisa and Nauta, Meike and Englebienne, Gwenn and Seifert, Christin},
  booktitle     = {IEEE International Conference on Cognitive Machine Intelligence (CogMI)},
  pages         = {59--68},
  year          = {2023},
  eprint        = {2311.02110},
  archiveprefix = {arXiv}
}"""
RISE = r"""@inproceedings{petsiuk2018rise,
  title         = {{RISE}: Randomized Input Sampling for Explanation of Black-box Models},
  author        = {Petsiuk, Vitali and Das, Abir and Saenko, Kate},
  booktitle     = {British Machine Vision Conference},
  year          = {2018},
  eprint        = {1806.07421},
  archiveprefix = {arXiv}
}"""
INFIDELITY = r"""@inproceedings{yeh2019infidelity,
  title         = {On the (In)fidelity and Sensitivity of Explanations},
  author        = {Yeh, Chih-Kuan and Hsieh, Cheng-Yu and Suggala, Arun Sai and Inouye, David I.
                   and Ravikumar, Pradeep},
  booktitle     = {Advances in Neural Information Processing Systems},
  volume        = {32},
  year          = {2019},
  eprint        = {1901.09392},
  archiveprefix = {arXiv}
}"""
SANITY = r"""@inproceedings{adebayo2018sanity,
  title         = {Sanity Checks for Saliency Maps},
  author        = {Adebayo, Julius and Gilmer, Justin and Muelly, Michael and Goodfellow, Ian and
                   Hardt, Moritz and Kim, Been},
  booktitle     = {Advances in Neural Information Processing Systems},
  volume        = {31},
  year          = {2018},
  eprint        = {1810.03292},
  archiveprefix = {arXiv}
}"""
CAPTUM = r"""@misc{kokhlikyan2020captum,
  title         = {Captum: A unified and generic model interpretability library for {PyTorch}},
  author        = {Kokhlikyan, Narine and Miglani, Vivek and Martin, Miguel and Wang, Edward and
                   Alsallakh, Bilal and Reynolds, Jonathan and Melnikov, Alexander and
                   Kliushkina, Natalia and Araya, Carlos and Yan, Siqi and
                   Reblitz-Richardson, Orion},
  year          = {2020},
  eprint        = {2009.07896},
  archiveprefix = {arXiv}
}"""
OF_METHODS = {
    IG: {"ig", "layer_ig", "gradient_shap", "layer_conductance", "neuron_conductance"},
    GRADCAM: {"gradcam"},
    SAM: {"sam"},
    TSA: {"tsa"},
}
WITHOUT_CAPTUM = {"sam", "tsa"}


def bibtex(networks: list[dict[str, Any]]) -> str:
    """SEW ResNet, but of converted or explained networks alone; the others where one uses them.

    >>> bibtex([{"neuron": "PLIF"}]).count("@")
    2
    >>> "kim2021visual" in bibtex([{"claims_relevance": {"sam": False}}])
    True
    """
    neurons = {str(facts.get("neuron", "")).lower() for facts in networks}
    residuals = {facts.get("residual") for facts in networks}
    works = [] if networks and not any(map(_rests_on_sew, networks)) else [SEW]
    if "plif" in neurons:
        works.append(PLIF)
    if "ms" in residuals:
        works.append(MS_RESNET)
    if "converted" in neurons:
        works += [PARALLEL, QCFS]
    return "\n\n".join(works + _of_attribution(networks))


def _rests_on_sew(facts: dict[str, Any]) -> bool:
    """Converted networks do not; of explained ones those whose name says so."""
    if "claims_relevance" in facts:
        return facts.get("residual") == "sew" or "sew" in str(facts.get("model", ""))
    return str(facts.get("neuron", "")).lower() != "converted"


def _of_attribution(networks: list[dict[str, Any]]) -> list[str]:
    """The methods that were run, what judged their maps, and the library behind most of them."""
    explained = [f for f in networks if "claims_relevance" in f]
    if not explained:
        return []
    methods = {m for f in explained for m in f["claims_relevance"]}
    beliefs = {f.get("belief", "all") for f in explained}
    works = [work for work, own in OF_METHODS.items() if own & methods]
    works += [RISE] if beliefs - {"none"} else []
    works += [INFIDELITY, SANITY] if "all" in beliefs else []
    return works + ([CAPTUM] if methods - WITHOUT_CAPTUM or "all" in beliefs else [])
