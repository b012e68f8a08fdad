"""How to cite the program and the work that its numbers rest on."""

from __future__ import annotations

from dataclasses import dataclass

TITLE, AUTHORS, LICENCE = "CovidSeverity", "The CovidSeverity developers", "Apache-2.0"
"""As in ``CITATION.cff``; a test compares."""


@dataclass(frozen=True)
class Reference:
    """A publication: ``name`` is its short form, as in "Francone 2020"."""

    name: str
    text: str
    doi: str

    @property
    def url(self) -> str:
        """Where it is."""
        return f"https://doi.org/{self.doi}"


FRANCONE = Reference(
    "Francone 2020",
    "Francone M, Iafrate F, Masci GM, et al. Chest CT score in COVID-19 patients: correlation with disease severity "
    "and short-term prognosis. Eur Radiol 2020;30:6808-6817.",
    "10.1007/s00330-020-07033-y",
)
LI = Reference(
    "Li 2020",
    "Li K, Wu J, Wu F, et al. The clinical and chest CT features associated with severe and critical COVID-19 "
    "pneumonia. Invest Radiol 2020;55:327-331.",
    "10.1097/RLI.0000000000000672",
)
CHUNG = Reference(
    "Chung 2020",
    "Chung M, Bernheim A, Mei X, et al. CT imaging features of 2019 novel coronavirus (2019-nCoV). "
    "Radiology 2020;295:202-207.",
    "10.1148/radiol.2020200230",
)
CHAGANTI = Reference(
    "Chaganti 2020",
    "Chaganti S, Grenier P, Balachandran A, et al. Automated quantification of CT patterns associated with COVID-19 "
    "from chest CT. Radiol Artif Intell 2020;2:e200048.",
    "10.1148/ryai.2020200048",
)
COLOMBI = Reference(
    "Colombi 2020",
    "Colombi D, Bodini FC, Petrini M, et al. Well-aerated lung on admitting chest CT to predict adverse outcome in "
    "COVID-19 pneumonia. Radiology 2020;296:E86-E96.",
    "10.1148/radiol.2020201433",
)
GEVENOIS = Reference(
    "Gevenois 1996",
    "Gevenois PA, De Vuyst P, de Maertelaer V, et al. Comparison of computed density and microscopic morphometry in "
    "pulmonary emphysema. Am J Respir Crit Care Med 1996;154:187-192.",
    "10.1164/ajrccm.154.1.8680679",
)
MUELLER = Reference(
    "Müller 1988",
    'Müller NL, Staples CA, Miller RR, Abboud RT. "Density mask": an objective method to quantitate emphysema using '
    "computed tomography. Chest 1988;94:782-787.",
    "10.1378/chest.94.4.782",
)
PARR = Reference(
    "Parr 2006",
    "Parr DG, Stoel BC, Stolk J, Stockley RA. Validation of computed tomographic lung densitometry for monitoring "
    "emphysema in alpha1-antitrypsin deficiency. Thorax 2006;61:485-490.",
    "10.1136/thx.2005.054890",
)
REFERENCES = (FRANCONE, LI, CHUNG, CHAGANTI, COLOMBI, GEVENOIS, MUELLER, PARR)


def software_citation(version: str) -> str:
    """The program as a reference of a paper."""
    return f"{AUTHORS}. {TITLE} (version {version}) [software]. Licence {LICENCE}."
